"""Driver: runs an accelerator from Python. Needs numpy alone, and never quinnoa."""
