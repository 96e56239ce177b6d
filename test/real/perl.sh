#!/bin/sh
# perl: hashes, sorting, growing strings, regular expressions, closures, circular structures, pipes and fork.
. "${0%/*}/lib.sh"
need perl

cat >"$directory/program.pl" <<'END'
use strict;
use warnings;
use Scalar::Util qw(weaken);

my ($x, %count, @rows) = 1;
for my $i (0 .. 99999) {
    $x = $x * 16807 % 2147483647;
    $count{"key" . $x % 50000} .= chr(97 + $x % 26);
    push @rows, [$x % 1000, "row $i"] if $i % 2;
}
my @sorted = sort { $a->[0] <=> $b->[0] or $a->[1] cmp $b->[1] } @rows;
print scalar(keys %count), " $sorted[0][1] $sorted[-1][1] ", unpack("%32C*", join ",", map { "$_$count{$_}" } sort keys %count), "\n";
delete @count{grep { /7/ } keys %count};
print scalar(keys %count), "\n";

my $text = "";
$text .= "line $_ of the text\n" for 1 .. 50000;
my $changed = $text =~ s/(\d+) of (the)/$2 $1/gr;
print length($changed), " ", scalar(() = $changed =~ /the \d*9\d* text/g), " ", unpack("%32C*", $changed), "\n";
print unpack("%32C*", join "", reverse split //, substr $text, 0, 200000), "\n";

my @closures = map { my $n = $_; sub { $n += shift } } 1 .. 20000;
my $sum = 0;
$sum += $_->(3) for @closures;
for (1 .. 20000) {
    my $parent = { name => "p$_" };
    my $child = { parent => $parent, name => "c" x ($_ % 100) };
    weaken($child->{parent});
    $parent->{child} = $child;
}
print "$sum\n";

for my $n (1 .. 4) {
    my $pid = open(my $child, "-|") // die "fork: $!";
    if (!$pid) {
        my @list = map { $_ * $n } 1 .. 50000;
        print "child $n: ", scalar(@list), " $list[-1]\n";
        exit 0;
    }
    print <$child>;
    close $child or die "child $n: $?";
}
print `echo from a shell`;
eval { die { code => 42, text => "x" x 100000 } };
print "$@->{code} ", length $@->{text}, "\n";
END

compare "perl" 5 perl "$directory/program.pl"
