# Enters this Python environment in csh or tcsh, "deactivate" leaves it again:
#
#     source bin/activate.csh

# One alias a step: an alias is one line, and a line with an unset variable in it does not run at all.
alias _venvfs_path 'test $?_OLD_VIRTUAL_PATH = 1 && setenv PATH "$_OLD_VIRTUAL_PATH:q" && unset _OLD_VIRTUAL_PATH'
alias _venvfs_home 'test $?_OLD_VIRTUAL_PYTHONHOME = 1 && setenv PYTHONHOME "$_OLD_VIRTUAL_PYTHONHOME:q" && unset _OLD_VIRTUAL_PYTHONHOME'
alias _venvfs_uv_unset 'test $?_OLD_VIRTUAL_UV = 1 && unsetenv UV_LINK_MODE && unset _OLD_VIRTUAL_UV'
alias _venvfs_uv_reset 'test $?_OLD_VIRTUAL_UV_LINK_MODE = 1 && setenv UV_LINK_MODE "$_OLD_VIRTUAL_UV_LINK_MODE:q" && unset _OLD_VIRTUAL_UV_LINK_MODE'
alias _venvfs_prompt 'test $?_OLD_VIRTUAL_PROMPT = 1 && set prompt="$_OLD_VIRTUAL_PROMPT:q" && unset _OLD_VIRTUAL_PROMPT'
alias _venvfs_leave '_venvfs_path; _venvfs_home; _venvfs_uv_unset; _venvfs_uv_reset; _venvfs_prompt; unsetenv VIRTUAL_ENV; unsetenv VIRTUAL_ENV_PROMPT; rehash'
alias deactivate '_venvfs_leave; test "\!:*" = nondestructive || unalias deactivate'

# Leave whichever environment the shell is in.
_venvfs_leave

setenv VIRTUAL_ENV @path:csh@
setenv VIRTUAL_ENV_PROMPT @prompt:csh@

if ($?PATH) then
    set _OLD_VIRTUAL_PATH="$PATH:q"
    setenv PATH "${VIRTUAL_ENV:q}/bin:${PATH:q}"
else
    setenv PATH "${VIRTUAL_ENV:q}/bin"
endif

if ($?PYTHONHOME) then
    set _OLD_VIRTUAL_PYTHONHOME="$PYTHONHOME:q"
    unsetenv PYTHONHOME
endif

# uv would try hard links first, which lead out of no mounted environment.
if ($?UV_LINK_MODE) then
    set _OLD_VIRTUAL_UV_LINK_MODE="$UV_LINK_MODE:q"
else
    set _OLD_VIRTUAL_UV
endif
setenv UV_LINK_MODE copy

if (! $?VIRTUAL_ENV_DISABLE_PROMPT && $?prompt) then
    set _OLD_VIRTUAL_PROMPT="$prompt:q"
    set prompt="(${VIRTUAL_ENV_PROMPT:q}) ${prompt:q}"
endif

rehash
