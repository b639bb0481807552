# Enters this Python environment in the shell that reads it, "deactivate" leaves it again:
#
#     . bin/activate
#
# For bash, zsh, dash and other POSIX shells; also under "set -eu".

deactivate () {
    if [ -n "${_OLD_VIRTUAL_PATH+x}" ]; then
        PATH="$_OLD_VIRTUAL_PATH"
        export PATH
        unset _OLD_VIRTUAL_PATH
    fi
    if [ -n "${_OLD_VIRTUAL_PYTHONHOME+x}" ]; then
        PYTHONHOME="$_OLD_VIRTUAL_PYTHONHOME"
        export PYTHONHOME
        unset _OLD_VIRTUAL_PYTHONHOME
    fi
    # "=value", or nothing where the variable was not set.
    case "${_OLD_VIRTUAL_UV_LINK_MODE-none}" in
        none) ;;
        "="*)
            UV_LINK_MODE="${_OLD_VIRTUAL_UV_LINK_MODE#=}"
            export UV_LINK_MODE
            unset _OLD_VIRTUAL_UV_LINK_MODE
            ;;
        *)
            unset UV_LINK_MODE _OLD_VIRTUAL_UV_LINK_MODE
            ;;
    esac
    if [ -n "${_OLD_VIRTUAL_PS1+x}" ]; then
        PS1="$_OLD_VIRTUAL_PS1"
        unset _OLD_VIRTUAL_PS1
    fi
    # The shell may remember where it found a program.
    hash -r 2>/dev/null || true
    unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT
    if [ "${1-}" != nondestructive ]; then
        unset -f deactivate
    fi
}

# Leave whichever environment the shell is in.
deactivate nondestructive

VIRTUAL_ENV=@path:sh@
VIRTUAL_ENV_PROMPT=@prompt:sh@
export VIRTUAL_ENV VIRTUAL_ENV_PROMPT

_OLD_VIRTUAL_PATH="${PATH-}"
PATH="$VIRTUAL_ENV/bin${PATH:+:$PATH}"
export PATH

if [ -n "${PYTHONHOME+x}" ]; then
    _OLD_VIRTUAL_PYTHONHOME="$PYTHONHOME"
    unset PYTHONHOME
fi

# uv would try hard links first, which lead out of no mounted environment.
_OLD_VIRTUAL_UV_LINK_MODE="${UV_LINK_MODE+=$UV_LINK_MODE}"
UV_LINK_MODE=copy
export UV_LINK_MODE

if [ -z "${VIRTUAL_ENV_DISABLE_PROMPT-}" ]; then
    _OLD_VIRTUAL_PS1="${PS1-}"
    case "$VIRTUAL_ENV_PROMPT" in
        *[\$\`\\%!]*)
            # Shells run what they find in a prompt: it must come out of a variable there. But zsh
            # looks into variables only where it is asked to; otherwise % is all that is special.
            if [ -n "${ZSH_VERSION-}" ] && ! eval '[[ -o promptsubst ]]'; then
                eval 'PS1="(${VIRTUAL_ENV_PROMPT//\%/%%}) $_OLD_VIRTUAL_PS1"'
            else
                # shellcheck disable=SC2016
                PS1='(${VIRTUAL_ENV_PROMPT-}) '"$_OLD_VIRTUAL_PS1"
            fi
            ;;
        *)
            PS1="($VIRTUAL_ENV_PROMPT) $_OLD_VIRTUAL_PS1"
            ;;
    esac
fi

hash -r 2>/dev/null || true
