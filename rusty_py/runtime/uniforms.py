"""Where the parameters of launches lie: pages of slots, each written once and never again.

A launch binds a page and says by a dynamic offset which slot is its own. Equal parameters share a slot, so
a loop that repeats its launches writes nothing. A slot is never rewritten: whatever is recorded, running or
kept for replay may read it for as long as it lives, and its page lives as long as one of them.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rusty_py.errors import DeviceError
from rusty_py.runtime.capi import CApi, Handle

if TYPE_CHECKING:
    import wgpu

SLOT_BYTES = 256  # WebGPU's largest alignment of a dynamic offset, on every adapter.
SLOT_WORDS = SLOT_BYTES // 4
_PAGE_SLOTS = 256
_MAX_PAGES = 16


@dataclass(eq=False, slots=True)
class UniformPage:
    """A uniform buffer of slots. `filled` slots have parameters, `written` of them on the device too."""

    raw: "wgpu.GPUBuffer"
    serial: int
    data: bytearray
    filled: int = 0
    written: int = 0


@dataclass(eq=False, slots=True, frozen=True)
class UniformSlot:
    """Where one set of parameters lies."""

    page: UniformPage
    offsets: Handle


class UniformRing:
    """Gives out slots; `write` brings new ones to the device. Its owner holds a lock."""

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
        """Writes what is new, behind the work submitted so far. To be called before each submission."""
        for page in self._pages:
            if page.written < page.filled:
                start, stop = page.written * SLOT_BYTES, page.filled * SLOT_BYTES
                data = self._commands.ffi.from_buffer(page.data)
                self._commands.write(queue, page.raw._internal, start, data + start, stop - start)
                page.written = page.filled

    @property
    def unwritten(self) -> bool:
        """Whether the last page has slots that the device has not."""
        return bool(self._pages) and self._pages[-1].written < self._pages[-1].filled

    def _add(self, words: tuple[int, ...]) -> UniformSlot:
        if not self._pages or self._pages[-1].filled == _PAGE_SLOTS:
            self._turn()
        page = self._pages[-1]
        offset = page.filled * SLOT_BYTES
        struct.pack_into(f"{len(words)}I", page.data, offset, *words)
        page.filled += 1
        slot = self._slots[words] = UniformSlot(page, self._commands.offsets(offset))
        return slot

    def _turn(self) -> None:
        """A new page. Past the most, the oldest that are written are forgotten: their users keep them."""
        import wgpu

        while len(self._pages) >= _MAX_PAGES and self._pages[0].written == _PAGE_SLOTS:
            old = self._pages.pop(0)
            self._slots = {words: slot for words, slot in self._slots.items() if slot.page is not old}
        size = _PAGE_SLOTS * SLOT_BYTES
        usage = wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST
        try:
            raw = self._device.create_buffer(label="params", size=size, usage=usage)
        except wgpu.GPUError as error:
            raise DeviceError(f"launch: the device gives no memory for parameters: {error}") from error
        self._serial += 1
        self._pages.append(UniformPage(raw, self._serial, bytearray(size)))
