// placeholder while others are written
