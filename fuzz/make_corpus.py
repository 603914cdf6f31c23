"""Makes the corpus of the target `multipart`: one file in a body, as a phone sends it, by the kind of picture.

    python3 fuzz/make_corpus.py        (needs Pillow)

Each file is a Content-Type, a newline, and a body. The pictures are drawn here; nobody's photo is among them.
"""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image, PngImagePlugin

CORPUS = Path(__file__).parent / "corpus" / "multipart"
TYPE = b"multipart/form-data; boundary=abc"


def drawn(size=(24, 18), mode="RGB"):
    picture = Image.new("RGB", size)
    picture.putdata([(x * 10 % 256, y * 13 % 256, (x * y) % 256) for y in range(size[1]) for x in range(size[0])])
    return picture.convert(mode)


def saved(picture, kind, **how):
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def body(file, name="a.jpg", end=b"\r\n--abc--\r\n", head=None):
    head = head or f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: image/jpeg'.encode()
    return b"--abc\r\n" + head + b"\r\n\r\n" + file + end


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, data, more=b""):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010E] = "somebody's house"
    return data


def animated(kind):
    frames = [drawn((12, 9)), drawn((12, 9)).rotate(90), drawn((12, 9)).rotate(180)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)


def pictures():
    jpeg = saved(drawn(), "JPEG", quality=60)
    clear = drawn(mode="RGBA")
    clear.putalpha(80)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "<script>alert(1)</script>", zip=True)
    yield "jpeg", jpeg
    yield "jpeg_turned", saved(drawn(), "JPEG", exif=exif(6))
    yield "jpeg_progressive", saved(drawn(), "JPEG", progressive=True)
    yield "jpeg_grey", saved(drawn(mode="L"), "JPEG")
    yield "jpeg_cmyk", saved(drawn(mode="CMYK"), "JPEG")
    yield "jpeg_cut_off", jpeg[: len(jpeg) * 2 // 3]
    yield "jpeg_bomb", jpeg.replace(b"\x00\x12\x00\x18", b"\xff\xff\xff\xff", 1)
    yield "jpeg_fill_bytes", jpeg[:2] + b"\xff" * 40 + jpeg[2:]
    yield "png", saved(drawn(), "PNG")
    yield "png_clear", saved(clear, "PNG")
    yield "png_palette", saved(drawn(mode="P"), "PNG", transparency=3)
    yield "png_deep", saved(drawn(mode="L").convert("I;16"), "PNG")
    yield "png_text", saved(drawn(), "PNG", pnginfo=text)
    yield "png_claims_much", png(60_000, 60_000, 8, 6, zlib.compress(b"\0" * 100))
    yield "png_bomb", png(8_000, 8_000, 1, 0, zlib.compress(b"\0" * (1_001 * 8_000), 9))
    yield "png_too_little", png(200, 200, 8, 2, zlib.compress(b"\0" * 50))
    yield "png_no_size", png(0, 0, 8, 2, zlib.compress(b""))
    yield "png_profile_bomb", png(1, 1, 8, 2, zlib.compress(b"\0" * 4),
                                  chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 4_000_000, 9)))
    yield "webp", saved(drawn(), "WEBP", quality=50)
    yield "webp_lossless", saved(drawn(), "WEBP", lossless=True)
    yield "webp_clear", saved(clear, "WEBP")
    yield "webp_animated", animated("WEBP")
    yield "webp_turned", saved(drawn(), "WEBP", exif=exif(8))
    yield "gif", saved(drawn(mode="P"), "GIF")
    yield "gif_animated", animated("GIF")
    yield "jpeg_and_page", jpeg[:2] + b"\xff\xfe" + struct.pack(">H", 30) + b"<script>alert(1)</script>   " + jpeg[2:]
    yield "png_and_archive", saved(drawn(), "PNG") + b"PK\x03\x04" + b"\0" * 26 + b"PK\x05\x06" + b"\0" * 18
    yield "gif_and_jpeg", b"GIF89a" + jpeg
    yield "jpeg_and_jpeg", jpeg + jpeg
    yield "page", b"<!doctype html><script>alert(1)</script>"
    yield "nothing", b""


def frames():
    jpeg = saved(drawn((8, 8)), "JPEG", quality=40)
    two = b"\r\n" + body(jpeg)
    yield "two_parts", TYPE, body(jpeg, end=two)
    yield "no_end", TYPE, body(jpeg, end=b"")
    yield "delimiter_inside", TYPE, body(b"\r\n--ab" + jpeg)
    yield "quoted", b'Multipart/Form-Data; charset=utf-8; Boundary="a b\'()+_,-./:=?"', \
        body(jpeg).replace(b"--abc", b"--a b'()+_,-./:=?")
    yield "odd_head", TYPE, body(jpeg, head=b'content-disposition:form-data;filename="a\\"; name=\\"b";name=file')
    yield "long_head", TYPE, body(jpeg, head=b"X: " + b"x" * 4_200)
    yield "mixed", b"multipart/mixed; boundary=abc", body(jpeg)
    yield "no_boundary", b"multipart/form-data; boundary=", body(jpeg)


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, file in pictures():
        (CORPUS / name).write_bytes(TYPE + b"\n" + body(file))
    for name, kind, framed in frames():
        (CORPUS / f"frame_{name}").write_bytes(kind + b"\n" + framed)


if __name__ == "__main__":
    main()
