"""What WaveNet alone needs: what generation costs, what is known without a network, the probe of
its receptive field, and its demo."""
