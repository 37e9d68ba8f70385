import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** Runs one Elasticsearch node from the class path: HOME FOLDER HTTP_PORT TRANSPORT_PORT [tied]. */
final class DevNode {
  public static void main(String[] arguments) throws Exception {
    if (arguments.length > 4) Tied.watch();
    LogConfigurator.configureESLogging();
    Settings settings = Settings.builder()
        .put("path.home", arguments[0])
        .put("path.data", arguments[1] + "/data")
        .put("path.logs", arguments[1] + "/logs")
        .put("http.port", arguments[2])
        .put("transport.port", arguments[3])
        .put("network.host", "127.0.0.1")
        .put("discovery.type", "single-node")
        .put("cluster.name", "almena-dev")
        .put("node.name", "dev")
        .put("node.store.allow_mmap", false)
        // A developer's full disk is no reason to refuse documents.
        .put("cluster.routing.allocation.disk.threshold_enabled", false)
        .build();
    Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "dev");
    PluginsLoader modules = PluginsLoader.createPluginsLoader(
        PluginsLoader.loadModulesBundles(environment.modulesDir()), Set.of(), Map.of(), false);
    Node node = new Node(environment, modules);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    node.start();
    Thread.currentThread().join();
  }

  private static void close(Node node) {
    try {
      node.close();
    } catch (java.io.IOException unclosed) {
      unclosed.printStackTrace();
    }
  }
}
