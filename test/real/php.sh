#!/bin/sh
# php: arrays, strings, objects and closures, with its own allocator in between, and with USE_ZEND_ALLOC=0, where each
# of its values is a block of the library.
. "${0%/*}/lib.sh"
need php

cat >"$directory/program.php" <<'END'
<?php
class Node {
    public array $children = [];
    public function __construct(public ?Node $parent, public string $name) {}
}

function words(int $count): array {
    $x = 1;
    $words = [];
    for ($i = 0; $i < $count; $i++) {
        $x = $x * 16807 % 2147483647;
        $words[] = dechex($x) . str_repeat(chr(97 + $x % 26), $x % 40);
    }
    return $words;
}

$words = words(50000);
sort($words);
$index = array_flip($words);
for ($i = 0; $i < count($words); $i += 3) {
    unset($index[$words[$i]]);
}
echo count($index), " ", array_sum($index), " ", md5(implode("\n", $words)), "\n";

$json = json_encode(array_chunk($words, 7));
echo strlen($json), " ", md5(json_encode(json_decode($json, true))), "\n";
echo md5(preg_replace_callback('/\d{3}/', fn($match) => "<" . strrev($match[0]) . ">", $json)), "\n";
echo strlen(serialize(unserialize(serialize($index)))), "\n";

for ($round = 0; $round < 5; $round++) {
    $root = new Node(null, "root");
    for ($i = 0; $i < 20000; $i++) {
        $root->children[] = new Node($root, "node $i");
    }
    unset($root);
    echo gc_collect_cycles() > 0 ? "collected" : "nothing to collect", "\n";
}

$buffer = "";
for ($i = 0; $i < 200000; $i++) {
    $buffer .= $i . ",";
}
echo md5(str_repeat($buffer, 20)), "\n";

function numbers(int $count): Generator {
    for ($i = 0; $i < $count; $i++) {
        yield $i => str_repeat("y", $i % 300);
    }
}
$total = 0;
foreach (numbers(100000) as $key => $value) {
    $total += $key + strlen($value);
}
echo $total, " ", trim(shell_exec("echo child")), "\n";
END

compare "php" 1 php -n "$directory/program.php"
compare "php, every value from malloc" 1 env USE_ZEND_ALLOC=0 php -n -d memory_limit=-1 "$directory/program.php"
