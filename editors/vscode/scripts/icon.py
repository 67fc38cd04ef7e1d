"""Draws media/icon.png: lines of code, a cursor, and the ghost of the line to come. Standard library only.

Run as `python scripts/icon.py`.
"""

import struct
import zlib
from pathlib import Path

SIZE, FINER = 256, 4
Colour = tuple[float, float, float, float]  # red, green, blue, opacity; each from 0 to 1
Box = tuple[float, float, float, float, float, Colour]  # left, top, right, bottom, radius of the corners, colour

INK, LIGHT, ACCENT = (0.09, 0.11, 0.18), (0.87, 0.90, 0.96), (0.47, 0.72, 1.0)
BOXES: tuple[Box, ...] = (
    (8, 8, 248, 248, 52, (*INK, 1)),
    (48, 62, 150, 84, 11, (*ACCENT, 1)),
    (162, 62, 208, 84, 11, (*LIGHT, 0.9)),
    (72, 100, 176, 122, 11, (*LIGHT, 0.9)),
    (72, 138, 116, 160, 11, (*LIGHT, 0.9)),
    (124, 130, 131, 168, 3, (*ACCENT, 1)),
    (140, 138, 208, 160, 11, (*LIGHT, 0.34)),
    (72, 176, 168, 198, 11, (*LIGHT, 0.34)),
)


def inside(box: Box, x: float, y: float) -> bool:
    left, top, right, bottom, radius, _ = box
    across = max(left + radius - x, 0, x - (right - radius))
    down = max(top + radius - y, 0, y - (bottom - radius))
    return across * across + down * down <= radius * radius


def pixel(x: int, y: int) -> bytes:
    """One pixel, from the boxes over each other; edges are smooth because of the finer grid in it."""
    red = green = blue = alpha = 0.0
    for box in BOXES:
        if not (box[0] - 1 <= x <= box[2] and box[1] - 1 <= y <= box[3]):
            continue
        grid = [(x + (i + 0.5) / FINER, y + (j + 0.5) / FINER) for i in range(FINER) for j in range(FINER)]
        *colour, opacity = box[5]
        cover = opacity * sum(inside(box, *point) for point in grid) / FINER**2
        after = cover + alpha * (1 - cover)
        if after:
            red, green, blue = (
                (new * cover + old * alpha * (1 - cover)) / after
                for new, old in zip(colour, (red, green, blue), strict=True)
            )
        alpha = after
    return bytes(round(255 * part) for part in (red, green, blue, alpha))


def png(rows: list[bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


if __name__ == "__main__":
    picture = png([b"".join(pixel(x, y) for x in range(SIZE)) for y in range(SIZE)])
    Path(__file__).parents[1].joinpath("media", "icon.png").write_bytes(picture)
