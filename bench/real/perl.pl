# Hashes of arrays, regular expressions, sorting and string building over text that it makes itself.
use strict;
use warnings;

my ($state, %index, @lines) = (1);
for my $number (1 .. 35_000) {
    my @words = map { $state = $state * 16807 % 2147483647; sprintf 'w%x', $state % 30011 } 1 .. 8;
    push @{ $index{$_} }, $number for @words;
    push @lines, join ' ', @words;
}
my %lengths;
for my $line (@lines) {
    while ($line =~ /w([0-9a-f]+)([0-9])(?=\s|$)/g) {
        $lengths{$1} .= $2;
    }
}
my @sorted = sort { length $lengths{$b} <=> length $lengths{$a} or $a cmp $b } keys %lengths;
my $text = join "\n", map { my $copy = $_; $copy =~ s/(\d+)/<$1>/g; ucfirst $copy } @lines;
my %links = map { $_ => { map { $_ => 1 } @{ $index{$_} } } } grep { @{ $index{$_} } > 8 } keys %index;
my $sum = 0;
$sum += keys %$_ for values %links;
print join(' ', scalar(keys %index), scalar(@sorted), $sorted[0], length $text, $sum), "\n";
