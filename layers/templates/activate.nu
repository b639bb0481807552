# Enters this Python environment in Nushell, "deactivate" leaves it again:
#
#     overlay use bin/activate.nu

export-env {
    let virtual_env = @path:nu@
    let prompt = @prompt:nu@
    let bin = ([$virtual_env "bin"] | path join)

    load-env {
        VIRTUAL_ENV: $virtual_env
        VIRTUAL_ENV_PROMPT: $prompt
        # uv would try hard links first, which lead out of no mounted environment.
        UV_LINK_MODE: "copy"
        PATH: ($env.PATH | split row (char esep) | prepend $bin)
    }
    hide-env --ignore-errors PYTHONHOME

    if ($env.VIRTUAL_ENV_DISABLE_PROMPT? | is-empty) {
        let former = ($env.PROMPT_COMMAND? | default "")
        load-env {
            PROMPT_COMMAND: {||
                let rest = if ($former | describe) == "closure" { do $former } else { $former }
                "(" + $prompt + ") " + ($rest | into string)
            }
        }
    }
}

# What the overlay set goes with it.
export alias deactivate = overlay hide activate
