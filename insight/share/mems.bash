# bash completion for mems(1): verbs and options from its help, processes and files.
_mems() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    local before=${COMP_WORDS[COMP_CWORD - 1]}
    local words=
    COMPREPLY=()
    [ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]} # bash splits --format=text into three words
    [ "$word" != = ] || word=
    case $before in
    --format)
        mapfile -t COMPREPLY < <(compgen -W 'text pprof heap_v2 collapsed json html speedscope' -- "$word")
        return
        ;;
    esac
    case $COMP_CWORD:$verb:$word in
    1:* | *:help:*) words=$(mems help | awk '/^  [a-z]/ { print $1 }; END { print "--version\n--help" }') ;;
    *:*:-*) words=$(mems help "$verb" 2>/dev/null | sed -n 's,^  ....\(--[a-z-]*\).*,\1,p') ;;
    [3-9]:set:*) words='sample=2m sample=0 decay_ms= stats=0 stats=text stats=json' ;;
    2:set:* | *:trim:* | *:top:*) words=$(mems list 2>/dev/null | awk 'NR > 1 { print $1 }') ;;
    *:list:* | *:serve:*) ;;
    *:run:*) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
    *)
        words=$(mems list 2>/dev/null | awk 'NR > 1 { print $1 }')
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
    esac
    mapfile -O "${#COMPREPLY[@]}" -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _mems mems
