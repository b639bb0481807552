"""A small program with a dependency, bundled by pyinstaller and by zipapp; both run without the environment."""

import os
import shutil
import subprocess
import sys

os.makedirs("source", exist_ok=True)
with open("source/__main__.py", "w") as file:
    file.write("import sqlparse, sys\nprint(sqlparse.format('select 1', keyword_case='upper'), sys.prefix == sys.base_prefix)\n")
shutil.copytree(os.path.join(os.path.dirname(__import__("sqlparse").__file__)), "source/sqlparse", dirs_exist_ok=True)
subprocess.run([sys.executable, "-m", "zipapp", "source", "-o", "small.pyz", "-p", sys.base_prefix + "/bin/python3"],
               check=True)
print(subprocess.run(["./small.pyz"], capture_output=True, text=True, check=True).stdout)
shutil.copy("source/__main__.py", "small.py")
subprocess.run([sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm", "--log-level", "ERROR", "small.py"], check=True)
print(subprocess.run(["dist/small/small"], capture_output=True, text=True, check=True).stdout)
print(os.path.exists("dist/small/_internal/sqlparse"), os.path.exists("dist/small/_internal/base_library.zip"))
