/** Lets a server live no longer than whoever holds the other end of its standard input. */
final class Tied {
  static void watch() {
    Thread watcher = new Thread(() -> {
      try {
        while (System.in.read() != -1) {}
      } catch (java.io.IOException broken) {
        // As good as closed.
      }
      Runtime.getRuntime().halt(0);
    }, "tied");
    watcher.setDaemon(true);
    watcher.start();
  }
}
