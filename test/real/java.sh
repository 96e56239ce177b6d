#!/bin/sh
# OpenJDK: its compiler, compilation at run time, garbage collection, threads, native buffers and compression.
. "${0%/*}/lib.sh"
need java javac

cat >"$directory/Program.java" <<'END'
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

public class Program {
    static long compress(int seed) {
        byte[] bytes = new byte[200000];
        new Random(seed).nextBytes(bytes);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] &= 15;
        }
        Deflater deflater = new Deflater();
        deflater.setInput(bytes);
        deflater.finish();
        byte[] out = new byte[400000];
        int length = deflater.deflate(out);
        deflater.end();
        ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
        buffer.put(out, 0, length).flip();
        CRC32 sum = new CRC32();
        sum.update(buffer);
        return sum.getValue() + length;
    }

    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<Long>> results = new ArrayList<>();
        for (int i = 0; i < 24; i++) {
            final int seed = i;
            results.add(pool.submit(() -> compress(seed)));
        }
        long sum = 0;
        for (Future<Long> result : results) {
            sum += result.get();
        }
        pool.shutdown();
        Map<String, Integer> counts = new HashMap<>();
        for (int i = 0; i < 300000; i++) {
            counts.merge("key " + i % 1000, 1, Integer::sum);
        }
        for (int i = 0; i < 20; i++) {
            Thread thread = new Thread(System::gc);
            thread.start();
            thread.join();
        }
        System.out.println(sum + " " + counts.size());
    }
}
END

compare "javac and java" 2 sh -c "javac -d . '$directory/Program.java' && java -Xmx128m -cp . Program"
for collector in Serial Parallel; do
    compare "java, $collector" 1 java -Xmx128m -XX:+Use${collector}GC "$directory/Program.java"
done
