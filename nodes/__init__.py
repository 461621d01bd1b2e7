"""Matte inside ComfyUI."""
