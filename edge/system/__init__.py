"""The operating system's side: files, folders, clock, streams, queues, processes; nothing about images."""
