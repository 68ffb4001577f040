"""The GAN: generator and discriminator, their training, checks and samples."""
