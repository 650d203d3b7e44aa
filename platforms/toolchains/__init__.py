"""Toolchains, a module each: ``find() -> Tool`` and ``build(plan, folder, progress) -> Result``."""
