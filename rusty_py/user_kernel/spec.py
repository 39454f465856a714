"""`TextSpec`: the pipeline of a text that is not a file below `wgsl/`."""

from dataclasses import dataclass

from rusty_py.runtime.launch import Spec
from rusty_py.user_kernel.refusal import refusal


@dataclass(frozen=True, kw_only=True)
class TextSpec(Spec):
    """A `Spec` of the text `wgsl`, whose bindings have any numbers and no uniforms from the ring.

    `numbered`: numbers and WebGPU types of the bindings, `inputs` of them read-only, then `outputs`.
    """

    wgsl: str
    function: str
    always_checked: bool
    numbered: tuple[tuple[int, str], ...]
    has_uniforms: bool = False

    def __post_init__(self) -> None:
        key = (self.name, self.wgsl, self.function, self.constants, self.always_checked, self.numbered)
        object.__setattr__(self, "_hash", hash(key))

    __hash__ = Spec.__hash__

    @property
    def text(self) -> str:
        return self.wgsl

    @property
    def source(self) -> str:
        """The text below its constants as comments: overrides of any type and form are not baked."""
        return "".join(f"// {name} = {value}\n" for name, value in self.constants) + self.wgsl

    @property
    def entry(self) -> str:
        return self.function

    @property
    def checked(self) -> bool:
        return self.always_checked

    @property
    def bindings(self) -> tuple[tuple[int, str], ...]:
        return self.numbered

    def refusal(self, message: str) -> str:
        return refusal(message, name=self.name)
