"""Parses, indexes, sorts and serializes generated text: dictionaries, lists, objects, strings, JSON."""

import collections
import hashlib
import json


class Entry:
    def __init__(self, number, words):
        self.number = number
        self.words = words
        self.links = []


def numbers(count, state=1):
    for _ in range(count):
        state = state * 16807 % 2147483647
        yield state


def main():
    vocabulary = [f"word{number % 100003:x}" for number in numbers(20_000)]
    entries = [Entry(number, [vocabulary[(number >> shift) % len(vocabulary)] for shift in range(0, 24, 3)])
               for number in numbers(40_000, 7)]
    index = collections.defaultdict(list)
    for entry in entries:
        for word in entry.words:
            index[word].append(entry)
    for entry in entries:
        entry.links = sorted({other.number for other in index[entry.words[0]][:12]})
    text = json.dumps([{"number": entry.number, "words": entry.words, "links": entry.links} for entry in entries])
    back = json.loads(text)
    lines = sorted(" ".join(item["words"]) for item in back)
    pieces = collections.Counter(piece for line in lines for piece in line.replace("word", " ").split())
    print(len(text), len(pieces), pieces.most_common(3), hashlib.sha256("\n".join(lines).encode()).hexdigest())


main()
