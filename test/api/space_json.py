"""For space_json.sh: checks that the heap in the file named first is the one on standard input, and adds up."""
import json
import sys

with open(sys.argv[1], encoding="ascii") as file:
    heap = json.load(file)
chain = heap.pop("main_chain")

segments = []
for index, main in enumerate(chain):
    segments += [(index, main["start"], main["last"], s["kind"], s["start"], s["last"], int(s["physical"] or "0", 16))
                 for s in main["sub_chain"]]
    assert main["physical"] == main["sub_chain"][0]["physical"], main

numbers = {}
walked = []
for line in sys.stdin:
    name, *values = line.split()
    if name == "segment":
        walked.append(tuple(v if v in ("PROCESS", "HOLE") else int(v) for v in values))
    else:
        numbers[name] = int(values[0])
assert numbers == heap, (numbers, heap)
assert walked == segments, (walked, segments)

sizes = {"PROCESS": 0, "HOLE": 0}
for _, _, _, kind, start, last, _ in segments:
    sizes[kind] += last - start + 1
reserved = sum(main["last"] - main["start"] + 1 for main in chain if main["physical"] is None)
assert sizes["PROCESS"] == heap["process_bytes"] and sizes["HOLE"] == heap["hole_bytes"], heap
assert reserved == heap["reserved_bytes"] and len(chain) == heap["main_nodes"], heap
assert heap["pages"] * heap["page_size"] + reserved == sum(sizes.values()), heap
print(f"{heap['main_nodes']} main nodes, {len(segments)} segments, {heap['failures']} failures")
