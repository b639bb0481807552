# Enters this Python environment in xonsh, "deactivate" leaves it again:
#
#     source bin/activate.xsh
#
# The prompt's {env_name} shows VIRTUAL_ENV_PROMPT.

def _venvfs_activate():
    names = ("VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "PYTHONHOME", "UV_LINK_MODE")

    if "deactivate" in aliases:
        # Leave whichever environment the shell is in.
        aliases["deactivate"](["nondestructive"])

    env = __xonsh__.env
    former = {name: env.get(name) for name in names if name in env}
    bin_directory = @path:xsh@ + "/bin"

    def deactivate(args=None):
        if bin_directory in env["PATH"]:
            env["PATH"].remove(bin_directory)
        for name in names:
            if name in former:
                env[name] = former[name]
            elif name in env:
                del env[name]
        if "nondestructive" not in (args or ()):
            del aliases["deactivate"]

    env["VIRTUAL_ENV"] = @path:xsh@
    env["VIRTUAL_ENV_PROMPT"] = @prompt:xsh@
    # uv would try hard links first, which lead out of no mounted environment.
    env["UV_LINK_MODE"] = "copy"
    if "PYTHONHOME" in env:
        del env["PYTHONHOME"]
    env["PATH"].insert(0, bin_directory)
    aliases["deactivate"] = deactivate

_venvfs_activate()
del _venvfs_activate
