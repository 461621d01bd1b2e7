"""Net-T: a trimap from a picture and a rough mask. No weights of it are published; it is here to be trained."""
