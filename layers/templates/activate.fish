# Enters this Python environment in fish, "deactivate" leaves it again:
#
#     source bin/activate.fish

function deactivate --description 'Leave the Python environment'
    if set -q _OLD_VIRTUAL_PATH
        set -gx PATH $_OLD_VIRTUAL_PATH
        set -e _OLD_VIRTUAL_PATH
    end
    if set -q _OLD_VIRTUAL_PYTHONHOME
        set -gx PYTHONHOME $_OLD_VIRTUAL_PYTHONHOME
        set -e _OLD_VIRTUAL_PYTHONHOME
    end
    # An empty list where the variable was not set.
    if set -q _OLD_VIRTUAL_UV_LINK_MODE
        if set -q _OLD_VIRTUAL_UV_LINK_MODE[1]
            set -gx UV_LINK_MODE $_OLD_VIRTUAL_UV_LINK_MODE
        else
            set -e UV_LINK_MODE
        end
        set -e _OLD_VIRTUAL_UV_LINK_MODE
    end
    if set -q _OLD_FISH_PROMPT_OVERRIDE
        set -e _OLD_FISH_PROMPT_OVERRIDE
        if functions -q _old_fish_prompt
            functions -e fish_prompt
            functions -c _old_fish_prompt fish_prompt
            functions -e _old_fish_prompt
        end
    end
    set -e VIRTUAL_ENV
    set -e VIRTUAL_ENV_PROMPT
    if test "$argv[1]" != nondestructive
        functions -e deactivate
    end
    return 0
end

# Leave whichever environment the shell is in.
deactivate nondestructive

set -gx VIRTUAL_ENV @path:fish@
set -gx VIRTUAL_ENV_PROMPT @prompt:fish@

set -g _OLD_VIRTUAL_PATH $PATH
set -gx PATH $VIRTUAL_ENV/bin $PATH

if set -q PYTHONHOME
    set -g _OLD_VIRTUAL_PYTHONHOME $PYTHONHOME
    set -e PYTHONHOME
end

# uv would try hard links first, which lead out of no mounted environment.
set -g _OLD_VIRTUAL_UV_LINK_MODE
if set -q UV_LINK_MODE
    set -g _OLD_VIRTUAL_UV_LINK_MODE $UV_LINK_MODE
end
set -gx UV_LINK_MODE copy

if test -z "$VIRTUAL_ENV_DISABLE_PROMPT"; and functions -q fish_prompt
    functions -c fish_prompt _old_fish_prompt
    set -g _OLD_FISH_PROMPT_OVERRIDE $VIRTUAL_ENV
    function fish_prompt
        # The prompt behind this one may show how the last command ended.
        set -l last_status $status
        printf '(%s) ' $VIRTUAL_ENV_PROMPT
        _venvfs_status $last_status
        _old_fish_prompt
    end
    function _venvfs_status
        return $argv[1]
    end
end
