"""The one exception of the package that is the caller's to mend."""


class InputError(ValueError):
    """Raised where what a caller passed in cannot be used.

    The message names the argument, what was expected and what came. The command line prints it as
    one line and exits with 2.
    """
