"""Net-M: alpha from a picture, a trimap and two classic solves, in the small size trained here."""
