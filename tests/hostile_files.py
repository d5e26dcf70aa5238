"""About 500 small files that strangers could send: images, no files at all, names, tables, indexes, checkpoints."""

import io
import json
import os
import pickle
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SUFFIXES = (".jpg", ".png", ".webp", ".bmp", ".tiff", ".mp4", ".avi", ".mov", ".gif", ".JPEG")
RUNS = "touch {mark}"  # what a payload would do


def chunk(kind, data):
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, data=b"", *more, depth=8, colour=2):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def saved(kind, side=16, **options):
    stream = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 120, np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


def _jpeg_of(width, height):
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _tiff(width, height, *, loop=False, offset=0xFFFFFF00):
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, offset)]
    entries += [(277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 0xFFFFFFFF)]
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", 8 if loop else 0)


def _gif(width, height, frames):
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def _box(kind, data=b""):
    return struct.pack(">I", len(data) + 8) + kind + data


def _pickled(mark):
    class Payload:
        def __reduce__(self):
            return os.system, (RUNS.format(mark=mark),)

    return pickle.dumps(Payload())


def contents(secret, mark):
    """Bytes by what they are; each is tried under several suffixes."""
    eps = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\n"
    eps += f"({secret}) (r) file\n({mark}) (w) file\nshowpage\n"
    brand = _box(b"ftyp", b"avif\0\0\0\0avifmif1")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"../../{Path(mark).name}", b"0" * 100_000)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + struct.pack(">HHII", 0x0112, 3, 1, 9 << 16)
    exif += struct.pack(">HHII", 0x8769, 4, 1, 8) + struct.pack(">I", 8)
    return {
        "eps": eps.encode(),
        "eps_dos": b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIII", 30, len(eps), 0, 0, 0, 0) + b"\0\0" + eps.encode(),
        "tiff": saved("TIFF"),
        "tiff_huge": _tiff(1_000_000, 1_000_000),
        "tiff_loop": _tiff(16, 16, loop=True, offset=8),
        "tiff_big": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 32,
        "gif": saved("GIF"),
        "gif_frames": _gif(4000, 4000, 1500),
        "gif_huge": _gif(65535, 65535, 1),
        "ppm": b"P6 16 16 255\n" + bytes(768),
        "ppm_huge": b"P6 99999 99999 255\n",
        "pfm": b"PF\n99999 99999\n-1\n",
        "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n",
        "jp2": b"\0\0\0\x0cjP  \r\n\x87\n"
        + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + _box(b"jp2h", _box(b"ihdr", struct.pack(">IIHBBBB", 99999, 99999, 3, 7, 7, 0, 0))),
        "j2k": b"\xff\x4f\xff\x51\0\x2f" + struct.pack(">HIIII", 0, 99999, 99999, 0, 0) + bytes(40),
        "avif": brand + _box(b"meta", b"\0" * 60),
        "heic": _box(b"ftyp", b"heic\0\0\0\0mif1heic") + _box(b"meta", b"\0" * 60),
        "psd": b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3) + bytes(30),
        "ico": b"\0\0\x01\0\x01\0\0\0\0\0\x01\0 \0\xff\xff\xff\x7f\x16\0\0\0",
        "dds": b"DDS " + struct.pack("<IIII", 124, 0x1007, 60000, 60000) + bytes(108),
        "tga": bytes([0, 0, 10]) + bytes(9) + struct.pack("<HHBB", 60000, 60000, 24, 0) + b"\xff\0\0\0",
        "fits": b"SIMPLE  =                    T".ljust(80) + b"NAXIS   =                    9".ljust(80),
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{secret}"/></svg>'.encode(),
        "xxe": f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><a>&x;</a>'.encode(),
        "pdf": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/Launch/F(x)>>>>endobj\n",
        "mvg": f"push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 '{secret}'\npop graphic-context".encode(),
        "png_bomb": png(30_000, 30_000, bytes(1 << 20)),
        "png_wide": png(2**31 - 1, 1),
        "png_zero": png(0, 0),
        "png_16": png(20_000, 20_000, bytes(1 << 16), depth=16, colour=6),
        "png_text": png(4, 4, bytes(52), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(30 << 20), 9))),
        "png_profile": png(4, 4, bytes(52), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(30 << 20), 9))),
        "png_exif": png(4, 4, bytes(52), chunk(b"eXIf", exif[6:])),
        "apng": png(4, 4, bytes(52), chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
        "jpeg_huge": _jpeg_of(65_500, 65_500),
        "jpeg_flat": _jpeg_of(65_500, 1),
        "jpeg_none": b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10\0\x10\0\x01\x11\0\xff\xd9",
        "jpeg_exif": saved("JPEG", exif=exif),
        "jpeg_segments": b"\xff\xd8" + (b"\xff\xfe\0\x02" * 20_000) + saved("JPEG")[2:],
        "jpeg_tables": saved("JPEG")[:2] + b"\xff\xdb\0\x43\xff" + bytes(64) + saved("JPEG")[2:],
        "jpeg_tail": saved("JPEG") + eps.encode(),
        "webp_huge": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xff",
        "webp_frames": b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\0\0\0\x02\0\0\0\x10\0\0\x10\0\0ANIM\x06\0\0\0\0\0\0\0\0\0",
        "bmp_huge": b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60_000, -60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "bmp_rle": b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 9, 9, 1, 8, 1, 9, 0, 0, 2**31 - 1, 0)
        + bytes(45),
        "playlist": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"ffconcat version 1.0\nfile '{secret}'\n".encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "dash": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>file://{secret}</BaseURL></Period></MPD>'.encode(),
        "mp4_reference": _box(b"ftyp", b"qt  \0\0\0\0qt  ")
        + _box(
            b"moov",
            _box(
                b"rmra",
                _box(
                    b"rmda",
                    _box(
                        b"rdrf",
                        b"\0\0\0\0url " + struct.pack(">I", len(str(secret)) + 1) + str(secret).encode() + b"\0",
                    ),
                ),
            ),
        ),
        "mp4_deep": _box(b"ftyp", b"isom\0\0\0\0isom") + (b"\0\xff\xff\xffmoov" * 2000),
        "mkv": b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
        "avi_index": b"RIFF\xff\xff\xff\x7fAVI LIST\xff\xff\xff\x7fhdrlavih\x38\0\0\0" + b"\xff" * 56,
        "zip": zipped.getvalue(),
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\xff" * 60,
        "pickle": _pickled(mark),
        "python": f"import os\nos.system({RUNS.format(mark=mark)!r})\n".encode(),
        "empty": b"",
        "one_byte": b"\xff",
        "zeros": bytes(1 << 20),
    }


def images(folder, secret, mark, *, most=10):
    """Each content under some of the suffixes, in a folder of their own; returns how many."""
    folder.mkdir(parents=True)
    made = 0
    for number, (name, data) in enumerate(contents(secret, mark).items()):
        for step in range(most):
            suffix = SUFFIXES[(number + step) % len(SUFFIXES)] if step else ".jpg"
            target = folder / f"{name}{suffix}"
            made += not target.exists()
            target.write_bytes(data)
    return made


def special(folder, linked):
    """What is no file, links, and names that nobody expects; returns how many."""
    folder.mkdir(parents=True)
    os.mkfifo(folder / "fifo.jpg")
    os.mkfifo(folder / "fifo.mp4")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(folder)  # names of sockets are short
        bound.bind("socket.jpg")
        os.chdir(here)
    (folder / "folder.jpg").mkdir()
    targets = {"to_fifo": folder / "fifo.jpg", "to_nothing": folder / "gone", "to_itself": folder / "to_itself.jpg"}
    targets |= {"to_zeros": Path("/dev/zero"), "to_null": Path("/dev/null"), "to_terminal": Path("/dev/tty")}
    targets |= {"to_table": linked / "table.csv", "to_image": linked / "a.jpg"}
    for name, target in targets.items():
        (folder / f"{name}.jpg").symlink_to(target)
    (folder / "up").symlink_to(folder.parent)
    (folder / "round").symlink_to(folder)
    deep = folder
    for _ in range(100):
        deep = deep / "d"
    deep.mkdir(parents=True)
    face = saved("JPEG", 64)
    names = [
        b"line\nWARNING forged.jpg",
        b"\x1b[2J\x1b]0;title\x07.jpg",
        "\u202egpj.exe.jpg".encode(),
        b"\xc2\x9b31m.jpg",
    ]
    names += [
        b"[red]markup[/red].jpg",
        b"[link=file:///etc]a[/link].jpg",
        b"not\xe4utf8\xff.jpg",
        b"-rf.jpg",
        b"--help.jpg",
    ]
    names += [
        b"${oc.env:HOME}.jpg",
        b"%s%n%x.jpg",
        b"a;touch b.jpg",
        b"$(touch b).jpg",
        b"`touch b`.jpg",
        b"'\".jpg",
        b"a=b.jpg",
    ]
    names += [
        b"=cmd|' !A1.jpg",
        b"<script>alert(1)</script>.jpg",
        b"@eaDir.jpg",
        b" .jpg",
        b"..jpg",
    ]
    names += [
        b"x" * 251 + b".jpg",
        "\u200b.jpg".encode(),
        "人脸.jpg".encode(),
        "e\u0301.jpg".encode(),
        b"a\\b.jpg",
        b"~.jpg",
        b"con.jpg",
    ]
    names += [b"*?.jpg", b"frame_%09d.jpg", b"a|b.jpg", b"#.jpg", b"a\tb.jpg", b"a\rb.jpg", b"\x7f.jpg", b"a,b.jpg"]
    for name in names:
        Path(folder, os.fsdecode(name.replace(b"/", b"\xe2\x88\x95"))).write_bytes(face)
    (deep / "deep.jpg").write_bytes(face)
    return len(names) + len(targets) + 6


def manifests(folder, secret):
    """Tables of images, each in a folder of its own with an image that is all right."""
    face = saved("JPEG", 64)
    paths = [
        str(secret),
        f"../{'../' * 20}{str(secret)[1:]}",
        "/etc/passwd",
        "link.jpg",
        "a.jpg/../../x.jpg",
        "../outside/secret.jpg",
    ]
    paths += [
        "fifo.jpg",
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/environ",
        "/proc/self/mem",
        "file:///etc/passwd",
        "http://127.0.0.1:9/a.jpg",
    ]
    paths += [
        "a\0b.jpg",
        "",
        ".",
        "..",
        "/",
        "~/a.jpg",
        "$HOME/a.jpg",
        "${oc.env:HOME}",
        "=1+1",
        "\x1b[2J",
        "\u202egpj",
        "x" * 5000,
        "x/" * 2000,
    ]
    paths += [
        "C:\\a.jpg",
        "\\\\host\\a.jpg",
        "|touch x",
        "archive.tar/../../x.jpg",
        "s3://bucket/a.jpg",
        "data:image/png;base64;AA",
    ]
    good = "path,label,split\na.jpg,real,train\n"
    texts = {f"path{number}.csv": f"{good}{path},fake,test\n" for number, path in enumerate(paths)}
    texts |= {
        f"path{number}.json": json.dumps(
            [{"path": "a.jpg", "label": 0, "split": "train"}, {"path": path, "label": 1, "split": "test"}]
        )
        for number, path in enumerate(paths)
    }
    deep = 100_000
    texts |= {
        "deep.json": "[" * deep + "]" * deep,
        "deeper.json": '{"a":' * deep + "1" + "}" * deep,
        "open.json": "[" * deep,
    }
    texts |= {"deep.jsonl": '{"path": "a.jpg", "label": ' + "[" * deep + "]" * deep + "}"}
    texts |= {
        "number.json": '[{"path": "a.jpg", "label": 1' + "0" * 5000 + "}]",
        "nan.json": '[{"path": "a.jpg", "label": NaN}]',
    }
    texts |= {
        "twice.json": '[{"path": "a.jpg", "path": "b.jpg", "label": 0}]',
        "list.json": "[[1, 2], null, 3]",
        "text.json": '"a"',
        "null.json": "null",
    }
    texts |= {
        "types.json": json.dumps(
            [{"path": kind, "label": kind, "split": kind} for kind in ([], {}, None, 1, 1.5, True)]
        )
    }
    texts |= {
        "wide.csv": ",".join(f"c{n}" for n in range(20_000)) + "\n",
        "quote.csv": 'path,label\n"a.jpg,real\n' * 2000,
        "long.csv": "path,label\n" + "x" * (1 << 20),
    }
    texts |= {
        "nul.csv": "path,label\na.jpg\0,real\n",
        "same.csv": "path,path,label\na.jpg,b.jpg,real\n",
        "none.csv": "",
        "head.csv": "path,label\n",
    }
    texts |= {
        "labels.csv": "path,label\na.jpg,real\x1b[31m\n",
        "splits.csv": "path,label,split\na.jpg,real,__import__('os')\n",
    }
    texts |= {
        "groups.csv": "path,label,split,group,video\n"
        + "".join(f"a.jpg,real,train,{'(a+)+' * 50}!,{'a' * 9000}!\n" for _ in range(2))
    }
    for number, (name, text) in enumerate(texts.items()):
        own = folder / f"m{number}"
        own.mkdir(parents=True)
        (own / "a.jpg").write_bytes(face)
        (own / "link.jpg").symlink_to(secret)
        os.mkfifo(own / "fifo.jpg")
        (own / f"manifest{Path(name).suffix}").write_text(text, encoding="utf-8", newline="")
    return len(texts)


def _strange(good, secret):
    """Values in place of those of an index, by column."""
    paths = [
        str(secret),
        f"../outside/{secret.name}",
        "link.jpg",
        "/etc/passwd",
        "/dev/zero",
        "a\0b",
        "",
        "..",
        "x" * 70_000,
    ]
    numbers = [-1, -(2**63), 2**63 - 1]
    strange = [("path", value) for value in paths]
    strange += [(name, value) for name in ("offset", "length", "size", "mtime_ns", "frame") for value in numbers]
    strange += [(name, value) for name in ("width", "height") for value in (0, -1, 2**31 - 1)]
    strange += [("label", value) for value in (-128, 7, 127)]
    strange += [("points", [value] * 136) for value in (np.nan, np.inf, -1e30, 1e30, 0.0)]
    strange += [("box", [value] * 4) for value in (np.nan, np.inf, 1e30)]
    strange += [
        (name, f"{'x' * 3000}\x1b[2J\n")
        for name in ("video_id", "group_id", "dataset", "method", "step", "reason", "split")
    ]
    return [(name, value) for name, value in strange if name in good.column_names]


def indexes(folder, good, secret):
    """Changed copies of an index; returns how many."""
    folder.mkdir(parents=True)
    table = pq.read_table(good)
    table = table.replace_schema_metadata(table.schema.metadata | {b"addnet.root": os.fsencode(good.parent / "faces")})
    made = 0

    def write(changed):
        nonlocal made
        pq.write_table(changed, folder / f"i{made}.parquet", compression="none")
        made += 1

    for name, value in _strange(table, secret):
        field = table.schema.field(name)
        at = table.column_names.index(name)
        values = table[name].to_pylist()
        values[len(values) // 2 :] = [value] * (len(values) - len(values) // 2)
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        column = pa.array(values, plain)
        write(table.set_column(at, field, column.cast(field.type) if plain != field.type else column))
    for name in table.column_names:
        write(table.drop_columns([name]))
        write(
            table.set_column(table.column_names.index(name), name, pa.array([[None]] * len(table), pa.list_(pa.null())))
        )
    for metadata in (
        {"addnet.root": str(secret.parent), "addnet.index": "2"},
        {"addnet.index": "99"},
        {b"addnet.root": b"\xff\0", b"addnet.index": b"2"},
        {},
    ):
        write(table.replace_schema_metadata(metadata))
    elsewhere = table.set_column(0, table.schema.field("path"), pa.array([secret.name] * len(table), pa.large_string()))
    write(elsewhere.replace_schema_metadata(table.schema.metadata | {b"addnet.root": os.fsencode(secret.parent)}))
    write(table.slice(0, 0))
    write(pa.concat_tables([table, table]))
    data = good.read_bytes()
    for text in (
        data[: len(data) // 2],
        data[:4] + data[-8:],
        b"PAR1" + struct.pack("<I", 2**31 - 1) + b"PAR1",
        b"PAR1PAR1",
        b"",
    ):
        (folder / f"i{made}.parquet").write_bytes(text)
        made += 1
    return made


def _leaves(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))


def _replaced(value, path, new):
    return new if not path else {**value, path[0]: _replaced(value[path[0]], path[1:], new)}


def checkpoints(folder, good, secret, mark, *, most):
    """Changed copies of a checkpoint; returns how many."""
    import torch

    folder.mkdir(parents=True)
    written = torch.load(good, weights_only=True)
    deep = []
    for _ in range(200):
        deep = [deep]
    values = [
        None,
        "x",
        "",
        -1,
        0,
        10**12,
        2**70,
        float("nan"),
        float("inf"),
        True,
        [],
        {},
        deep,
        [1] * 1000,
        "\x1b[2J\n",
    ]
    values += [
        "${oc.env:HOME}",
        str(secret),
        "../" * 30,
        {"_target_": "os.system", "command": RUNS.format(mark=mark)},
        torch.zeros(1).expand(1 << 33),
    ]
    random = np.random.default_rng(0)
    places = [("addnet", *path) for path in _leaves(written["addnet"])] + [("state_dict",), ("hyper_parameters",)]
    places = [path for path in places if path[0] in written]
    pairs = [(path, value) for path in places for value in range(len(values))]
    random.shuffle(pairs)
    made = 0
    for path, value in pairs[:most]:
        torch.save(_replaced(written, path, values[value]), folder / f"c{made:03}.ckpt")
        made += 1
    name, tensor = next(iter(written["state_dict"].items()))
    for changed in (tensor.new_zeros(()).expand(10**6, *tensor.shape[1:]), torch.zeros(2, 0), tensor.bool(), "weights"):
        torch.save(_replaced(written, ("state_dict", name), changed), folder / f"c{made}.ckpt")
        made += 1
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100 << 20))
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("archive/data.pkl", _pickled(mark))
        archive.writestr("archive/version", "3")
    for data in (
        _pickled(mark),
        bomb.getvalue(),
        inside.getvalue(),
        good.read_bytes()[:1000],
        b"",
        b"PK\x05\x06" + bytes(18),
    ):
        (folder / f"c{made}.ckpt").write_bytes(data)
        made += 1
    os.mkfifo(folder / f"c{made}.ckpt")
    (folder / f"c{made + 1}.ckpt").symlink_to("/dev/zero")
    return made + 2
