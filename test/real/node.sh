#!/bin/sh
# node: buffers and strings outside its own heap, compression and hashes on a pool of threads, workers that come and go,
# and children.
. "${0%/*}/lib.sh"
need node

cat >"$directory/program.js" <<'END'
const { createHash } = require("crypto");
const { execFileSync } = require("child_process");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const { promisify } = require("util");
const zlib = require("zlib");

const gzip = promisify(zlib.gzip);
const gunzip = promisify(zlib.gunzip);

function bytes(seed, length) {
    const buffer = Buffer.alloc(length);
    let x = seed + 1;
    for (let i = 0; i < length; i++) {
        x = (x * 16807) % 2147483647;
        buffer[i] = x % 64;
    }
    return buffer;
}

const digest = (data) => createHash("sha256").update(data).digest("hex").slice(0, 16);

async function work(seed) {
    const lengths = Array.from({ length: 30 }, (_, i) => (seed * 7919 + i * i * 371) % 200000);
    const packed = await Promise.all(lengths.map((length, i) => gzip(bytes(i, length))));
    const whole = await Promise.all(packed.map((data) => gunzip(data)));
    const text = JSON.stringify(whole.map((data) => data.toString("latin1")));
    return `${digest(Buffer.concat(whole))} ${digest(text)} ${JSON.parse(text).length}`;
}

const inWorker = (seed) =>
    new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: seed });
        worker.once("message", resolve);
        worker.once("error", reject);
    });

async function main() {
    console.log(await work(0));
    for (let round = 0; round < 3; round++) {
        console.log((await Promise.all([1, 2, 3].map(inWorker))).join("\n"));
    }
    let kept = [];
    for (let i = 0; i < 20000; i++) {
        kept.push(Buffer.allocUnsafeSlow(i % 5000).fill(i % 256));
        if (i % 1000 === 999) {
            kept = kept.filter((_, k) => k % 3 === 0);
        }
    }
    console.log(kept.length, digest(Buffer.concat(kept)));
    console.log(execFileSync(process.execPath, ["-p", "'child '.repeat(1000).length"]).toString());
    try {
        Buffer.alloc(2 ** 53);
    } catch (error) {
        console.log(error.code);
    }
}

if (isMainThread) {
    main();
} else {
    work(workerData).then((result) => parentPort.postMessage(result));
}
END

compare "node" 2 node "$directory/program.js"
