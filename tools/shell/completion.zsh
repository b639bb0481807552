#compdef venvfs
# Completions of venvfs for zsh. What may stand where, venvfs itself knows.

_venvfs () {
    local line entry
    local -a candidates plain
    local -i command=-1 files=0 directories=0
    # As the shell would read them: without quotes and backslashes.
    local -a typed=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")

    for line in "${(@f)$(_call_program candidates ${words[1]} complete -- "${(@q)typed}" 2>/dev/null)}"; do
        case $line in
            '') ;;
            :files) files=1 ;;
            :directories) directories=1 ;;
            :command\ *) command=${line#:command } ;;
            *$'\t'*)
                entry=${${line%%$'\t'*}//:/\\:}
                candidates+=("$entry:${line#*$'\t'}")
                ;;
            *) plain+=("$line") ;;
        esac
    done

    if (( command >= 0 )); then
        shift $(( command + 1 )) words
        (( CURRENT -= command + 1 ))
        _normal
        return
    fi
    local -i found=1
    if (( $#candidates )); then _describe -t values value candidates && found=0; fi
    if (( $#plain )); then compadd -a plain && found=0; fi
    # Of "--option=value" the value alone is a path.
    if (( files || directories )) && [[ $PREFIX == --*=* ]]; then compset -P '*='; fi
    if (( files )); then _files && found=0; fi
    if (( directories )); then _files -/ && found=0; fi
    return found
}

_venvfs "$@"
