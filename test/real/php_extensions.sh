#!/bin/sh
# php with Debian's extensions, each a plug-in with libraries behind it that php loads with RTLD_DEEPBIND: XML,
# multibyte strings, databases, pictures, languages, the network.
. "${0%/*}/lib.sh"
need php
php -m >"$directory/modules"
for module in curl dom gd intl mbstring mysqli pdo_sqlite SimpleXML xsl; do
    grep -qx "$module" "$directory/modules" || {
        echo "$test_name: skipped: php has no $module"
        exit 77
    }
done

cat >"$directory/program.php" <<'END'
<?php
$document = new DOMDocument();
$list = $document->appendChild($document->createElement("list"));
for ($i = 0; $i < 5000; $i++) {
    $list->appendChild($document->createElement("item", "number $i"));
}
$xml = simplexml_load_string($document->saveXML());
echo count($xml->item), " ", md5($document->saveXML()), " ", count($document->getElementsByTagName("item")), "\n";

$style = new DOMDocument();
$style->loadXML('<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
    <xsl:template match="/"><n><xsl:value-of select="count(list/item)"/></n></xsl:template></xsl:stylesheet>');
$processor = new XSLTProcessor();
$processor->importStylesheet($style);
echo $processor->transformToXml($document);

echo mb_strtoupper("stra\u{df}e"), " ", mb_strlen(str_repeat("\u{e4}\u{4e2d}", 10000)), "\n";

$database = new PDO("sqlite::memory:");
$database->exec("create table t(a int, b text)");
$insert = $database->prepare("insert into t values(?, ?)");
for ($i = 0; $i < 3000; $i++) {
    $insert->execute([$i, str_repeat("x", $i % 100)]);
}
echo implode(" ", $database->query("select sum(a), sum(length(b)) from t")->fetch(PDO::FETCH_NUM)), "\n";

$picture = imagecreatetruecolor(300, 300);
for ($i = 0; $i < 300; $i++) {
    imageline($picture, 0, $i, $i, 299, $i * 700);
}
ob_start();
imagepng(imagescale($picture, 200));
echo strlen(ob_get_clean()) > 1000 ? "picture" : "no picture", "\n";

$words = ["zebra", "\u{c4}pfel", "apfel", "Zoo"];
collator_sort(collator_create("de_DE"), $words);
echo implode(" ", $words), " ", (new NumberFormatter("de_DE", NumberFormatter::DECIMAL))->format(1234567.891), "\n";

$request = curl_init("http://127.0.0.1:1/");
curl_setopt($request, CURLOPT_RETURNTRANSFER, true);
echo curl_exec($request) === false ? curl_errno($request) : "an answer", "\n";
mysqli_report(MYSQLI_REPORT_OFF);
echo @mysqli_init()->real_connect("127.0.0.1", "nobody", "", "", 1) ? "an answer" : "no server", "\n";
END

compare "php with extensions" 1 php "$directory/program.php"
compare "php with extensions, every value from malloc" 1 env USE_ZEND_ALLOC=0 php "$directory/program.php"
