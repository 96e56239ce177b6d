# bash completion for mems(1).
_mems() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    local verbs='list top stats profile map whatis check leaks save diff set trim run serve help'
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs --version --help" -- "$word")
        return
    fi
    case $word in
    -*)
        local options='--help --usage'
        case $verb in
        map) options="$options --json --html --symbols" ;;
        list | check) options="$options --json" ;;
        stats | whatis | diff) options="$options --json --symbols" ;;
        top) options="$options --json --batch --interval --count --sort --filter" ;;
        leaks) options="$options --json --symbols --why --suppressions --no-suppressions" ;;
        serve) options="$options --listen --host --open" ;;
        profile)
            options="$options --json --peak --allocated --lifetime --resident --thread --class --tree --flat --inverted"
            options="$options --format --rows --symbols"
            ;;
        set | trim) options="$options --json --timeout" ;;
        run) options="$options --option --stats --map --save --detach --hmm --library --leaks"
            options="$options --suppressions --no-suppressions --" ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
        ;;
    esac
    case $verb in
    help) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word") ;;
    run) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
    set)
        if [ "$COMP_CWORD" -gt 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W 'sample=2m sample=0 decay_ms= stats=0 stats=text stats=json' -- "$word")
            return
        fi
        ;;& # and the processes
    top | stats | profile | map | whatis | check | leaks | save | diff | set | trim)
        local processes
        processes=$(mems list 2>/dev/null | awk 'NR > 1 { print $1 }')
        mapfile -t COMPREPLY < <(compgen -W "$processes" -- "$word"; compgen -f -- "$word")
        ;;
    esac
}
complete -F _mems mems
