"""The uniform ring: the uniforms of launches, in pages of slots that are written once.

A launch binds a page and selects its slot by a dynamic offset. Equal uniforms share a slot, so a loop that
repeats its launches writes nothing. A slot is never overwritten: recorded, running and captured launches may
read it, and keep its page alive.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rusty_py.errors import DeviceError
from rusty_py.runtime.capi import CApi, Handle, handle

if TYPE_CHECKING:
    import wgpu

SLOT_BYTES = 256  # WebGPU's largest alignment of a dynamic offset, on every adapter.
SLOT_WORDS = SLOT_BYTES // 4
_PAGE_SLOTS = 256
_MAX_PAGES = 16


@dataclass(eq=False, slots=True)
class UniformPage:
    """A uniform buffer of slots. `filled`: slots in use; `written`: slots already copied to the device."""

    raw: "wgpu.GPUBuffer"
    serial: int
    data: bytearray
    filled: int = 0
    written: int = 0


@dataclass(eq=False, slots=True, frozen=True)
class UniformSlot:
    """The page and dynamic offset of one set of uniforms."""

    page: UniformPage
    offsets: Handle


class UniformRing:
    """Allocates slots; `write` copies new ones to the device. Protected by the owner's lock."""

    def __init__(self, device: "wgpu.GPUDevice", commands: CApi) -> None:
        self._device, self._commands = device, commands
        self._slots: dict[tuple[int, ...], UniformSlot] = {}
        self._pages: list[UniformPage] = []
        self._serial = 0

    def slot(self, words: tuple[int, ...]) -> UniformSlot:
        """The slot of `words`, u32 each, at most `SLOT_WORDS` of them."""
        found = self._slots.get(words)
        return found or self._add(words)

    def write(self, queue: Handle) -> None:
        """Copies new slots to the device. To be called before each submission."""
        for page in self._pages:
            if page.written < page.filled:
                start, stop = page.written * SLOT_BYTES, page.filled * SLOT_BYTES
                data = self._commands.bytes_of(page.data)
                self._commands.write(queue, handle(page.raw), start, data + start, stop - start)
                page.written = page.filled

    @property
    def unwritten(self) -> bool:
        """Whether there are slots that are not on the device yet: the last page may have none at all."""
        return any(page.written < page.filled for page in self._pages[-2:])

    def _add(self, words: tuple[int, ...]) -> UniformSlot:
        if not self._pages or self._pages[-1].filled == _PAGE_SLOTS:
            self._add_page()
        page = self._pages[-1]
        offset = page.filled * SLOT_BYTES
        struct.pack_into(f"{len(words)}I", page.data, offset, *words)
        page.filled += 1
        slot = self._slots[words] = UniformSlot(page, self._commands.offsets(offset))
        return slot

    def _add_page(self) -> None:
        """Adds a page. Beyond `_MAX_PAGES` the oldest written pages are dropped; launches keep them alive."""
        import wgpu

        while len(self._pages) >= _MAX_PAGES and self._pages[0].written == _PAGE_SLOTS:
            old = self._pages.pop(0)
            self._slots = {words: slot for words, slot in self._slots.items() if slot.page is not old}
        size = _PAGE_SLOTS * SLOT_BYTES
        usage = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        try:
            raw = self._device.create_buffer(label="uniforms", size=size, usage=usage)
        except wgpu.GPUError as error:
            raise DeviceError(f"launch: cannot allocate uniforms: {error}") from error
        self._serial += 1
        self._pages.append(UniformPage(raw, self._serial, bytearray(size)))
