"""Commands that refuse an option given again."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand
from typer.core import TyperOption

from guidedcam_tf.errors import InputError


class OnceCommand(TyperCommand):
    """A command that refuses two values of an option for one, of which only the last would count.

    Raises:
        InputError: If an option has two values and takes one.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; see the class."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in given:
            if (
                isinstance(option, TyperOption)
                and not (option.multiple or option.is_flag)
                and given.count(option) > 1
            ):
                raise InputError(
                    f"{option.opts[0]} is given {given.count(option)} times and takes one value: "
                    f"{option.help}"
                )
        return super().parse_args(ctx, args)
