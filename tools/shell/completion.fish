# Completions of venvfs for fish. What may stand where, venvfs itself knows.

function __venvfs_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l current (commandline -ct)
    set -l prefix (string match -r '^--[^=]*=' -- $current)
    for line in ($words[1] complete -- $words[2..] 2>/dev/null)
        switch $line
            case :files
                printf "$prefix%s\n" (__fish_complete_path (string replace -- "$prefix" '' $current))
            case :directories
                printf "$prefix%s\n" (__fish_complete_directories (string replace -- "$prefix" '' $current))
            case ':command *'
                set -l first (math (string replace ':command ' '' -- $line) + 2)
                complete -C (string join ' ' -- (string escape -- $words[$first..-2]) $current)
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c venvfs -f -k -a '(__venvfs_complete)'
