#!/usr/bin/env python3
"""Prints the events of an archive's object, one JSON text a line: read-archive.py SEGMENT [SESSION]

By docs/archive-format.md alone. zstd comes with Python 3.14; before that by `pip install zstandard`, or the zstd command."""
import datetime, hashlib, json, re, struct, subprocess, sys, tempfile

def unzstd(data, dictionary=b""):
    try:
        from compression import zstd
        return zstd.decompress(data, zstd_dict=zstd.ZstdDict(dictionary, is_raw=True) if dictionary else None)
    except ImportError: pass
    try:
        import zstandard as z
        known = z.ZstdCompressionDict(dictionary, dict_type=z.DICT_TYPE_RAWCONTENT) if dictionary else None
        return z.ZstdDecompressor(dict_data=known).decompressobj().decompress(data)
    except ImportError: pass
    with tempfile.NamedTemporaryFile() as file:
        file.write(dictionary)
        file.flush()
        more = ["-D", file.name] if dictionary else []
        return subprocess.run(["zstd", "-dcq", *more], input=data, stdout=subprocess.PIPE, check=True).stdout

def events(session, block, dictionaries):
    ids = 13 + struct.unpack_from("<I", block, 9)[0]
    text = unzstd(block[ids:], dictionaries.get(block[1:9].hex(), b"")).decode()
    if block[0] == 2: return json.loads(text)
    uuids = re.findall("(.{8})(.{4})(.{4})(.{4})(.{12})", block[13:ids].hex())
    text = re.sub("\x03", lambda _: "-".join(uuids.pop(0)), text)
    senders, kinds, codes, times, keys, rests = (column.split("\x02") for column in text.split("\x01"))
    ms, n, found = 0, 0, []
    for seq, (code, rest) in enumerate(zip(codes[0], rests), 1):
        if code == " ": found.append(rest); continue
        kind, sender = kinds[ord(code) - 0x21].split(" ")
        ms += int(times[n], 36)
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
        at = at.isoformat(timespec="milliseconds") + "Z"
        tail = ',"body":{"type":"text","text":"' + rest[1:] + '"}}' if rest[0] == "T" else rest[1:]
        found.append('{"session":"%s","seq":%d,"id":"%s","type":"%s","from":%s,"at":"%s"%s'
                     % (session, seq, keys[n], kind, senders[int(sender)], at, tail))
        n += 1
    return found

data = open(sys.argv[1], "rb").read()
place, length, count, _, digest, end = struct.unpack("<QII8s32s8s", data[-64:])
assert data[:8] == b"kefuseg1" and end == b"kefuend1", "not a segment"
assert hashlib.sha256(data[:-64]).digest() == digest, "broken"
index = json.loads(unzstd(data[place:place + length]))
dictionaries = {key: data[at:at + size] for key, at, size in index["dictionaries"]}
for session, at, size, last_seq, checksum in index["sessions"]:
    if len(sys.argv) < 3 or session == sys.argv[2]:
        block = data[at:at + size]
        assert hashlib.sha256(block).hexdigest()[:16] == checksum, "session %s is broken" % session
        for event in events(session, block, dictionaries): print(event)
