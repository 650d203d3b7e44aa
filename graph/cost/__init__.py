"""Cost: what each unit takes of a device, from the structure that its generator lays down."""
