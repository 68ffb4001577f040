"""The GAN: a DCGAN-born generator and discriminator, trained and sampled."""
