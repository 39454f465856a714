"""The command group, with `matmul` as the default command."""

from typing import Any

import typer
from typer.core import TyperGroup

DEFAULT = "matmul"


class CommandGroup(TyperGroup):
    """Also accepts options of the default command: `rusty-bench --size 64` means `rusty-bench matmul ...`.

    Without arguments it means `rusty-bench matmul --calibrate`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Inserts the default command if there are no arguments or they start with one of its options."""
        completing = ctx.resilient_parsing
        if self._begins_with_an_option(ctx, args) or not (args or completing):
            if not completing:
                self._refuse_later_command(ctx, args)
            args = [DEFAULT, *(args or ["--calibrate"])]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Completes commands and options, including those of the default command."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            command = self.commands[DEFAULT]
            known = {each.value for each in found}
            others = command.shell_complete(self._default_context(ctx), incomplete)
            found += [each for each in others if each.value not in known]
        return found

    def _begins_with_an_option(self, ctx: Any, args: list[str]) -> bool:
        own = {name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)}
        first = args[0].partition("=")[0] if args else ""
        return first.startswith("-") and first != "--" and first not in own

    def _refuse_later_command(self, ctx: Any, args: list[str]) -> None:
        context = self._default_context(ctx)
        parser = self.commands[DEFAULT].make_parser(context)
        parser.ignore_unknown_options = True  # They may belong to the later command.
        _, left, _ = parser.parse_args(list(args))
        for name in left:
            if name in self.commands:
                rest = list(args)
                rest.remove(name)
                ctx.fail(f"options follow their command: write {' '.join(['rusty-bench', name, *rest])}")

    def _default_context(self, ctx: Any) -> typer.Context:
        return typer.Context(self.commands[DEFAULT], info_name=DEFAULT, parent=ctx)
