"exit" "1"  # a shell that was named instead of a Python leaves here; to Python this is a string
# Asks a base interpreter for everything venvfs needs to know of it, as one line of JSON.
# Run as `python -E -s -S -B -c SCRIPT`; must parse on any Python, so that an old one can say what it is.
import sys

sys.path[:] = [entry for entry in sys.path if entry]  # -I would do it, but Python 2 does not know -I
MARK = 'venvfs-probe: '
ROOT = '/venvfs-environment'


def relative(path):
    if path == ROOT:
        return ''
    if not path.startswith(ROOT + '/'):
        raise SystemExit('its install scheme leaves the environment: %s' % path)
    return path[len(ROOT) + 1:]


def has_lib64():
    # venv made a link lib64 -> lib up to 3.14; since then platlib is a directory of its own where it is below lib64.
    return sys.maxsize > 2**32 and sys.version_info < (3, 15)


def scheme_paths():
    # The scheme of virtual environments; distributions patch the default one (Debian: posix_local).
    import sysconfig
    scheme = 'venv' if 'venv' in sysconfig.get_scheme_names() else 'posix_prefix'
    paths = sysconfig.get_paths(scheme, vars={'base': ROOT, 'platbase': ROOT})
    found = {key: relative(paths[key]) for key in ('purelib', 'platlib', 'scripts', 'data')}
    if has_lib64() and found['platlib'].startswith('lib64/'):
        found['platlib'] = 'lib/' + found['platlib'][len('lib64/'):]
    return found


def link_names(implementation, suffix):
    # As the venv module of that version makes them.
    minor = '3.%d' % sys.version_info[1]
    names = ['python', 'python3', 'python' + minor]
    if suffix:
        names.append('python' + minor + suffix)
    if implementation == 'pypy':
        names += ['pypy', 'pypy3', 'pypy' + minor]
    if sys.version_info[:2] == (3, 14) and implementation == 'cpython':
        names.append('\U0001d70bthon')
    return names


def bundle_dir():
    # Where ensurepip keeps its wheels; Debian moves them, and drops ensurepip without python3-venv.
    import os
    import sysconfig
    stdlib = os.path.dirname(os.__file__)
    if not os.path.isfile(os.path.join(stdlib, 'ensurepip', '__init__.py')):
        return None
    places = [os.path.join(stdlib, 'ensurepip', '_bundled'), sysconfig.get_config_var('WHEEL_PKG_DIR'),
              '/usr/share/python-wheels']
    for place in places:
        if place and os.path.isdir(place) and any(name.endswith('.whl') for name in os.listdir(place)):
            return os.path.normpath(place)
    return None


def wheel_tags(bundle):
    # pip's own `packaging`, straight from the wheel: what pip will accept here is what it says.
    import glob
    import os
    import sysconfig
    for place in (bundle, '/usr/share/python-wheels'):
        if place:
            sys.path[:0] = sorted(glob.glob(os.path.join(glob.escape(place), 'pip-*.whl')))
    sys.path.append(sysconfig.get_path('purelib'))
    for name in ('pip._vendor.packaging.tags', 'packaging.tags'):
        try:
            module = __import__(name, fromlist=['sys_tags'])
            return [str(tag) for tag in module.sys_tags()]
        except Exception:
            continue
    return []


def canonical_executable(names):
    # One name for one interpreter, so that equal environments are equal: bin/python3.13 rather than
    # bin/python, a link in ~/bin, or the python of an environment that was made from it.
    import os
    for name in names:
        path = os.path.join(sys.base_prefix, 'bin', name)
        if os.path.exists(path) and os.path.samefile(path, sys.executable):
            return path
    return os.path.abspath(sys.executable)


def answer():
    import importlib.util
    import os
    import sysconfig
    version = sys.version_info
    implementation = sys.implementation.name
    suffix = 't' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''
    bundle = bundle_dir()
    names = link_names(implementation, suffix)
    found = scheme_paths()
    if not sys.executable:
        raise SystemExit('it does not know its own path')
    executable = canonical_executable(sorted(names, key=len, reverse=True))
    # venv makes a link of the interpreter's own name too: python3-dbg, python3.11d.
    own_name = os.path.basename(executable)
    if own_name not in names and ' ' not in own_name:
        names.append(own_name)
    found.update(
        executable=executable,
        stdlib=os.path.dirname(os.__file__),
        implementation=implementation,
        version_info='%d.%d.%d.%s.%d' % version[:5],
        cache_tag=sys.implementation.cache_tag,
        bytecode_magic=''.join('%02x' % byte for byte in importlib.util.MAGIC_NUMBER),
        lib_name=os.path.basename(os.path.dirname(found['purelib'])),
        headers='include/site/python%d.%d' % version[:2],
        lib64=has_lib64(),
        names=names,
        ensurepip_dir=bundle,
        tags=wheel_tags(bundle))
    return found


def main():
    versions = '"major": %d, "minor": %d, "micro": %d' % tuple(sys.version_info[:3])
    if sys.version_info[:2] < (3, 8):
        print('\n' + MARK + '{' + versions + '}')
        return
    import json
    print('\n' + MARK + '{' + versions + ', ' + json.dumps(answer())[1:])


main()
