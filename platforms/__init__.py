"""Boards, shells and toolchains."""
