import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Formats a broker's folder at its first start, then runs the broker: FOLDER CLUSTER_ID [tied]. */
final class DevBroker {
  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    if (arguments.length > 2) Tied.watch();
    String properties = folder.resolve("server.properties").toString();
    if (!Files.exists(folder.resolve("data/meta.properties"))) format(folder, properties, arguments[1]);
    kafka.Kafka.main(new String[] {properties});
  }

  private static void format(Path folder, String properties, String cluster) throws Exception {
    List<String> words = new ArrayList<>(List.of("format", "-t", cluster, "-c", properties));
    for (String user : Files.readAllLines(folder.resolve("users"))) words.addAll(List.of("--add-scram", user));
    int failed = kafka.tools.StorageTool.execute(words.toArray(new String[0]), System.out);
    if (failed != 0) throw new IllegalStateException("the folder could not be formatted");
  }
}
