#!/bin/sh
# ffmpeg: several threads make, encode and decode a film; its frames are compared.
. "${0%/*}/lib.sh"
need ffmpeg

cat >"$directory/film.sh" <<'END'
set -eu
ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=25:duration=4 -f lavfi -i sine=duration=4 -c:v mpeg4 -threads 4 \
    -c:a aac -bitexact -fflags +bitexact film.mkv
ffmpeg -v error -threads 4 -i film.mkv -vf scale=160:120,hflip -f framemd5 -bitexact -
END
compare "ffmpeg" 2 sh "$directory/film.sh"
