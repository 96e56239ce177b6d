# fish completion for mems(1): verbs and options from its help, processes and files.
function __mems_verbs
    mems help | string replace -rf '^  ([a-z]+) +(.*)' '$1\t$2'
end
function __mems_options
    set -l words (commandline -opc)
    ARGP_HELP_FMT=rmargin=1000 mems help $words[2] 2>/dev/null |
        string replace -rf '^  ....(--[a-z-]+)\S* +(.*)' '$1\t$2'
end
function __mems_processes
    mems list 2>/dev/null | tail -n +2 | string trim | string replace -r '^(\d+) (\S+).*' '$1\t$2'
end
complete -c mems -f
complete -c mems -n __fish_use_subcommand -a '(__mems_verbs)'
complete -c mems -n '__fish_seen_subcommand_from help' -a '(__mems_verbs)'
complete -c mems -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -a '(__mems_options)'
complete -c mems -n '__fish_seen_subcommand_from run' -a '(__fish_complete_subcommand --fcs-skip=2)'
complete -c mems -n '__fish_seen_subcommand_from top set trim' -a '(__mems_processes)'
complete -c mems -n '__fish_seen_subcommand_from stats profile map whatis check leaks save diff' -F \
    -a '(__mems_processes)'
complete -c mems -n '__fish_seen_subcommand_from profile' -l format -x \
    -a 'text pprof heap_v2 collapsed json html speedscope'
