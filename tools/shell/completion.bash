# Completions of venvfs for bash. What may stand where, venvfs itself knows.

_venvfs () {
    local -a words=() files=()
    local word line cut reply
    local -i at=0 i
    # bash takes "--name=proj" for three words, venvfs for one; and "> file" is none of its words.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word =~ ^[0-9]*[\<\>]+\&?$ || $word == '&>' ]]; then
            if ((++i >= COMP_CWORD)); then
                compopt -o default
                return
            fi
        elif ((at > 0)) && [[ $word == = || ${words[at - 1]} == --*= ]]; then
            words[at - 1]+=$word
        else
            words[at++]=$word
        fi
    done
    word=${words[at - 1]}
    # What readline takes for the word begins after the sign.
    cut=
    if [[ $word == --*=* ]]; then cut=${word%%=*}=; fi
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files) mapfile -t files < <(compgen -f -- "${word#"$cut"}") ;;
            :directories) mapfile -t files < <(compgen -d -- "${word#"$cut"}") ;;
            :command\ *)
                if declare -F _command_offset >/dev/null; then
                    _command_offset $((COMP_CWORD - at + 1 + ${line#:command }))
                elif [[ ${line#:command } == $((at - 1)) ]]; then
                    mapfile -t COMPREPLY < <(compgen -c -- "$word")
                else
                    compopt -o default
                fi
                return
                ;;
            *)
                reply=${line%%$'\t'*}
                COMPREPLY+=("${reply#"$cut"}")
                ;;
        esac
    done < <("$1" complete -- "${words[@]}" 2>/dev/null)
    if ((${#files[@]} > 0)); then
        compopt -o filenames
        COMPREPLY+=("${files[@]}")
    fi
}

complete -F _venvfs venvfs
