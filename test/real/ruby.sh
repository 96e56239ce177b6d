#!/bin/sh
# ruby: each string, array and hash that is not small is a block of the library; with threads, fibers, forked children
# and a compacting collector.
. "${0%/*}/lib.sh"
need ruby

cat >"$directory/program.rb" <<'END'
def words(seed, count)
  x = seed
  Array.new(count) do
    x = x * 16807 % 2147483647
    x.to_s(36) + "z" * (x % 60)
  end
end

def checksum(text)
  text.each_byte.reduce(0) { |sum, byte| (sum * 31 + byte) % 1000000007 }
end

def work(seed)
  list = words(seed, 20000).sort
  index = list.each_with_index.to_h
  list.each_slice(3) { |first, *| index.delete(first) }
  text = list.join("\n").gsub(/\d{2,}/) { |digits| "<#{digits.reverse}>" }
  [index.size, index.values.sum, text.size, checksum(text[0, 100000])]
end

p work(1)
p [2, 3, 4].map { |seed| Thread.new { work(seed) } }.map(&:value)

readers = [5, 6].map do |seed|
  reader, writer = IO.pipe
  fork do
    reader.close
    writer.write(work(seed).inspect)
    writer.close
  end
  writer.close
  reader
end
p readers.map(&:read)
Process.waitall.each { |_, status| p status.exitstatus }

fibers = Array.new(500) { |i| Fiber.new { 20.times { |n| Fiber.yield("x" * (n * i % 700)) } } }
p 20.times.sum { fibers.sum { |fiber| fiber.resume.size } }

buffer = +""
50000.times { |i| buffer << i.to_s << "," }
p buffer.size, (buffer * 50).size, (7**20000 % 1000003), [buffer].pack("m").size
GC.start
GC.compact if GC.respond_to?(:compact)
p work(1), `echo child`
begin
  "x" * (1 << 62)
rescue ArgumentError, NoMemoryError => error
  p error.class
end
END

compare "ruby" 4 ruby --disable=gems "$directory/program.rb"
