"""Sizes, as people read them."""

from __future__ import annotations


def size_text(size_bytes: int) -> str:
    """512 B, 1.4 kB, 12 MB, 3.0 GB (powers of 1000)."""
    size, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):  # noqa: B007 (the last one is used below)
        if size < 999.5:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
