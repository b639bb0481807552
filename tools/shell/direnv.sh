# For direnv, printed by `venvfs direnv`:
#
#     mkdir -p ~/.config/direnv/lib && venvfs direnv > ~/.config/direnv/lib/venvfs.sh
#
# In a project's .envrc:
#
#     layout venvfs [NAME [ARGUMENT…]]
#
# mounts the environment NAME (the directory's name if none is given) at ./.venv and enters it. The
# first time, it is made: `venvfs create NAME ARGUMENT…`.

layout_venvfs () {
    local name=${1:-${PWD##*/}} here
    if [ $# -gt 0 ]; then shift; fi
    # The environment of this directory, by the first line; it is mounted if there is something to see.
    here=$(venvfs status 2>/dev/null) || here=
    if [ "${here%%$'\n'*}" != "$name" ] || [ ! -e .venv/pyvenv.cfg ]; then
        venvfs status -n "$name" >/dev/null 2>&1 || venvfs create "$name" "$@" >&2 || return
        venvfs mount -q "$name" .venv || return
    fi
    # direnv carries the variables to the shell; the prompt is that shell's own.
    local VIRTUAL_ENV_DISABLE_PROMPT=1
    . .venv/bin/activate
}
