# fish completion for mems(1).
set -l verbs list stats map whatis check save diff set trim run help
complete -c mems -f
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a list -d 'the processes on the libraries'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a stats -d 'what holds the memory'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a map -d 'the heaps as pictures'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a whatis -d 'what is at an address'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a check -d 'whether the heaps are sound'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a save -d 'keep a heap in a file'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a diff -d 'what has changed between two moments'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a set -d 'set an option of a running process'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a trim -d 'have a process give free memory back'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a run -d 'run a command on the library'
complete -c mems -n "not __fish_seen_subcommand_from $verbs" -a help -d 'about a verb'
complete -c mems -n '__fish_seen_subcommand_from stats map whatis check save diff set trim' -F \
    -a "(mems list 2>/dev/null | tail -n +2 | string trim | string replace -r '^(\d+) (\S+).*' '\$1\t\$2')"
complete -c mems -n '__fish_seen_subcommand_from help' -a "$verbs"
complete -c mems -n '__fish_seen_subcommand_from run' -a '(__fish_complete_subcommand --fcs-skip=2)'
complete -c mems -n '__fish_seen_subcommand_from list stats map whatis check diff set trim' -l json -d 'print JSON'
complete -c mems -n '__fish_seen_subcommand_from set trim' -l timeout -x -d 'seconds to wait'
complete -c mems -n '__fish_seen_subcommand_from run' -s o -l option -x -d 'an option of the heap, NAME=VALUE'
complete -c mems -n '__fish_seen_subcommand_from run' -l stats -d 'show its statistics at the end'
complete -c mems -n '__fish_seen_subcommand_from run' -l map -d 'show its map at the end'
complete -c mems -n '__fish_seen_subcommand_from run' -l save -r -F -d 'keep its heap in a file'
complete -c mems -n '__fish_seen_subcommand_from run' -l detach -d 'do not trace it'
complete -c mems -n '__fish_seen_subcommand_from run' -l hmm -d 'on libhmm'
complete -c mems -n '__fish_seen_subcommand_from run' -l library -r -F -d 'on this library'
