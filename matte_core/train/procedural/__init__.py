"""Procedural crops with true alpha: shapes, textures, composites in linear light, trimaps."""
