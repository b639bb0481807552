"""Django's development server restarts itself when a module of the environment is edited."""

import os

import serve

WEB = "from django.http import HttpResponse\nfrom django.urls import path\nimport sys\n" \
      "urlpatterns = [path('', lambda request: HttpResponse({!r} + sys.prefix))]\n"

os.makedirs("site", exist_ok=True)
with open("settings.py", "w") as file:
    file.write("DEBUG = True\nSECRET_KEY = 'x'\nROOT_URLCONF = 'urls_of_env'\nALLOWED_HOSTS = ['127.0.0.1']\n")
serve.write_module("urls_of_env", WEB.format("one "))
os.environ.update(DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=os.getcwd(), PYTHONUNBUFFERED="1")
port = serve.free_port()
url = f"http://127.0.0.1:{port}/"
with serve.started("django", "runserver", f"127.0.0.1:{port}", "--skip-checks") as said:
    print(serve.wait_for(lambda: serve.get(url), "an answer"))
    serve.write_module("urls_of_env", WEB.format("two "))
    print(serve.wait_for(lambda: (text := serve.get(url)).startswith("two ") and text, "the edit"))
