"""The errors a user can cause. Everything the command line turns into exit status 1 is one."""

__all__ = ["FoldError", "ModelError", "QuinnoaError", "UnsupportedModel"]


class QuinnoaError(Exception):
    """The input or the result is at fault; the message says what, where, and what would help."""


class ModelError(QuinnoaError):
    """The file is not a model that can be read: broken, truncated, inconsistent or unsafe."""


class UnsupportedModel(QuinnoaError):
    """The model is sound, but some of its nodes cannot be built; the message lists all of them."""


class FoldError(QuinnoaError):
    """A fold that cannot be; the message shows the arithmetic."""
