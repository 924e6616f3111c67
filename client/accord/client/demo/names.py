# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF001 - names in their own scripts look like each other

"""Common names in the spellings in which case files hold them, for invented people.

One entry is one name: its own script first, then how clerks write it in Latin letters.
The lists are everyday names of a language and stand for nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

Spellings = tuple[str, ...]
"""Own script first, then Latin; a single one where the script is Latin anyway."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NameTable:
    """Given names of women and of men, and family names, of one language."""

    women: tuple[Spellings, ...]
    men: tuple[Spellings, ...]
    family: tuple[Spellings, ...]


def _table(women: str, men: str, family: str) -> NameTable:
    def names(text: str) -> tuple[Spellings, ...]:
        return tuple(
            tuple(name.split("/")) for name in " ".join(text.split()).split(", ")
        )

    return NameTable(women=names(women), men=names(men), family=names(family))


ROMANIAN = _table(
    """Ioana/Joana, Elena/Helena, Ștefania/Stefania, Andreea/Andrea, Mădălina/Madalina,
    Gabriela, Cătălina/Catalina, Mihaela, Simona, Raluca, Lăcrămioara/Lacramioara""",
    """Ștefan/Stefan/Shtefan, Ionuț/Ionut, Andrei/Andrey, Mihai/Mihay, Cătălin/Catalin,
    Florin, Răzvan/Razvan, Vasile, Gheorghe/George, Cristian/Christian""",
    """Popescu, Ionescu, Dumitru, Stănescu/Stanescu, Rusu/Russu, Munteanu,
    Țurcanu/Turcanu, Ciobanu/Chobanu, Lupu, Mureșan/Muresan, Văduva/Vaduva,
    Constantin""",
)
UKRAINIAN = _table(
    """Олена/Olena/Elena, Наталія/Nataliia/Natalya, Юлія/Yuliia/Julia,
    Ганна/Hanna/Anna, Оксана/Oksana/Oxana, Тетяна/Tetiana/Tatiana, Ірина/Iryna/Irina,
    Катерина/Kateryna, Світлана/Svitlana/Svetlana, Марія/Mariia/Maria""",
    """Олександр/Oleksandr/Aleksandr/Alexander, Микола/Mykola/Nikolai, Іван/Ivan,
    Сергій/Serhii/Sergey, Дмитро/Dmytro/Dmitry, Андрій/Andrii/Andrey, Юрій/Yurii/Yuri,
    Володимир/Volodymyr/Vladimir, Богдан/Bohdan/Bogdan, Тарас/Taras""",
    """Шевченко/Shevchenko/Schewtschenko, Коваленко/Kovalenko, Бондаренко/Bondarenko,
    Ткачук/Tkachuk, Кравчук/Kravchuk, Олійник/Oliinyk/Oleynik, Лисенко/Lysenko,
    Гончар/Honchar/Gonchar, Мельник/Melnyk/Melnik, Мороз/Moroz, Савченко/Savchenko,
    Поліщук/Polishchuk""",
)
POLISH = _table(
    """Agnieszka, Małgorzata/Malgorzata, Katarzyna, Zofia/Sofia, Elżbieta/Elzbieta,
    Ewa/Eva, Grażyna/Grazyna, Joanna, Urszula/Ursula, Magdalena""",
    """Paweł/Pawel/Pavel, Łukasz/Lukasz/Lukas, Krzysztof/Krystof, Tomasz/Thomas,
    Wojciech, Stanisław/Stanislaw, Grzegorz, Michał/Michal, Jakub/Jacob, Rafał/Rafal""",
    """Nowak/Novak, Wójcik/Wojcik, Kowalczyk, Woźniak/Wozniak, Mazur, Krawczyk,
    Kaczmarek, Zając/Zajac, Król/Krol, Wróbel/Wrobel, Stępień/Stepien, Dudek""",
)
ALBANIAN = _table(
    """Drita, Elira, Fatjona, Besa, Mirjeta/Mirieta, Valbona, Teuta, Ardita, Flutura,
    Shqipe""",
    """Arben, Besnik, Gëzim/Gezim, Ilir, Agron, Dritan, Fatmir, Luan, Bekim,
    Përparim/Perparim""",
    """Hoxha/Hodja, Shehu, Çela/Cela, Kola, Gjoka/Djoka, Prifti, Leka, Dervishi, Marku,
    Bardhi, Krasniqi, Berisha""",
)
HUNGARIAN = _table(
    """Erzsébet/Erzsebet, Katalin, Ágnes/Agnes, Ildikó/Ildiko, Zsuzsanna, Mária/Maria,
    Éva/Eva, Tünde/Tunde, Réka/Reka, Boglárka/Boglarka""",
    """László/Laszlo, István/Istvan, József/Jozsef, Zoltán/Zoltan, Sándor/Sandor,
    Gábor/Gabor, Ferenc, Attila, Béla/Bela, Csaba""",
    """Nagy, Kovács/Kovacs, Tóth/Toth, Szabó/Szabo, Horváth/Horvath, Varga, Kiss,
    Molnár/Molnar, Németh/Nemeth, Farkas, Balogh, Lakatos""",
)
GEORGIAN = _table(
    """ნინო/Nino, მარიამ/Mariam/Maryam, თამარ/Tamar/Tamara, ანა/Ana/Anna, ნათია/Natia,
    ქეთევან/Ketevan/Qetevan, ლელა/Lela, ეკა/Eka""",
    """გიორგი/Giorgi/George, დავით/Davit/David, ლევან/Levan, ნიკა/Nika, ზურაბ/Zurab,
    ირაკლი/Irakli/Iraklii, ბექა/Beka, თორნიკე/Tornike""",
    """ბერიძე/Beridze, კაპანაძე/Kapanadze, გელაშვილი/Gelashvili, მაისურაძე/Maisuradze,
    ლომიძე/Lomidze, ხუციშვილი/Khutsishvili/Hutsishvili, ჩიქოვანი/Chikovani,
    წიკლაური/Tsiklauri""",
)
ARABIC = _table(
    """فاطمة/Fatima/Fatma/Fatimah, عائشة/Aisha/Aysha/Aicha, مريم/Maryam/Mariam/Meryem,
    زينب/Zainab/Zeinab/Zaynab, خديجة/Khadija/Khadijah, نور/Nour/Noor, سارة/Sara/Sarah,
    هدى/Huda/Hoda, أمينة/Amina/Ameena, ليلى/Layla/Leila""",
    """محمد/Mohammed/Muhammad/Mohamed, أحمد/Ahmed/Ahmad, يوسف/Yusuf/Youssef/Yousef,
    إبراهيم/Ibrahim/Ebrahim, عمر/Omar/Umar, علي/Ali/Aly, حسن/Hassan/Hasan,
    خالد/Khaled/Khalid, مصطفى/Mustafa/Mostafa, عبد الله/Abdullah/Abdallah""",
    """الحسن/Al-Hassan/El Hassan/Alhasan, حداد/Haddad/Hadad, النجار/Al-Najjar/Najar,
    خليل/Khalil/Khaleel, منصور/Mansour/Mansoor, صالح/Saleh/Salih, عثمان/Osman/Othman,
    حمدان/Hamdan, بلال/Bilal/Belal, المصري/Al-Masri/El Masry, يعقوب/Yaqoub/Yacoub,
    آدم/Adam/Adem""",
)
HINDI = _table(
    """सुनीता/Sunita/Suneeta, प्रिया/Priya/Priyaa, अनीता/Anita/Aneeta, गीता/Gita/Geeta,
    लक्ष्मी/Lakshmi/Laxmi, पूजा/Pooja/Puja, रेखा/Rekha, कविता/Kavita""",
    """राजेश/Rajesh, संजय/Sanjay/Sanjai, विजय/Vijay/Bijay, अमित/Amit/Ameet, सुरेश/Suresh,
    दीपक/Deepak/Dipak, मनोज/Manoj, राम/Ram""",
    """कुमार/Kumar, शर्मा/Sharma, सिंह/Singh/Sinha, यादव/Yadav, वर्मा/Verma/Varma,
    थापा/Thapa, तमांग/Tamang, गुप्ता/Gupta, चौधरी/Chaudhary/Choudhury, राय/Rai/Roy""",
)
VIETNAMESE = _table(
    """Thị Hương/Thi Huong, Thị Lan/Thi Lan, Ngọc Ánh/Ngoc Anh, Thu Hà/Thu Ha,
    Mỹ Linh/My Linh, Thị Nga/Thi Nga, Phương Thảo/Phuong Thao, Kim Oanh,
    Bích Ngọc/Bich Ngoc, Thúy/Thuy""",
    """Văn Đức/Van Duc, Minh Tuấn/Minh Tuan, Quốc Việt/Quoc Viet, Hữu Phước/Huu Phuoc,
    Đình Nam/Dinh Nam, Văn Hùng/Van Hung, Thanh Sơn/Thanh Son, Xuân Trường/Xuan Truong,
    Công Danh/Cong Danh, Tiến Dũng/Tien Dung""",
    """Nguyễn/Nguyen, Trần/Tran, Lê/Le, Phạm/Pham, Hoàng/Hoang/Huynh, Phan, Vũ/Vu/Vo,
    Đặng/Dang, Bùi/Bui, Đỗ/Do, Hồ/Ho, Ngô/Ngo""",
)
CHINESE = _table(
    """秀英/Xiuying/Hsiu-ying, 丽/Li/Lee, 静/Jing/Ching, 小红/Xiaohong/Hsiao-hung,
    敏/Min, 芳/Fang, 桂兰/Guilan/Kuei-lan, 雪梅/Xuemei/Hsueh-mei, 婷婷/Tingting,
    玉珍/Yuzhen""",
    """伟/Wei, 强/Qiang/Chiang, 建国/Jianguo/Chien-kuo, 志明/Zhiming/Chih-ming,
    军/Jun/Chun, 海涛/Haitao, 文杰/Wenjie/Wen-chieh, 国强/Guoqiang/Kuo-chiang,
    家豪/Jiahao/Ka Ho, 磊/Lei""",
    """王/Wang/Wong, 李/Li/Lee, 张/Zhang/Chang, 刘/Liu/Lau, 陈/Chen/Chan,
    杨/Yang/Yeung, 黄/Huang/Wong, 赵/Zhao/Chao, 吴/Wu/Ng, 周/Zhou/Chow, 林/Lin/Lam,
    郑/Zheng/Cheng""",
)
THAI = _table(
    """สมหญิง/Somying, มาลี/Malee/Mali, วันดี/Wandee/Vandi, นารี/Naree/Nari,
    พรทิพย์/Pornthip/Porntip, กัลยา/Kanlaya/Kalaya, สุดา/Suda, รัตนา/Rattana/Ratana""",
    """สมชาย/Somchai, ประสิทธิ์/Prasit/Prasith, วิชัย/Wichai/Vichai, สุรชัย/Surachai,
    อนันต์/Anan/Anant, ชัยวัฒน์/Chaiwat, นิรันดร์/Niran, ธนา/Thana""",
    """ศรีสุข/Srisuk/Sisuk, แก้วมณี/Kaewmanee/Kaeomani, บุญมี/Boonmee/Bunmi,
    ทองดี/Thongdee/Thongdi, ใจดี/Jaidee/Chaidi, สายทอง/Saithong, พรหมมา/Phromma,
    วงศ์สวัสดิ์/Wongsawat""",
)
TIGRINYA = _table(
    """ሰላም/Selam, ሳባ/Saba, ለተብርሃን/Letebrhan/Letebirhan, ምሕረት/Mihret/Mehret, ራሄል/Rahel,
    ፍረወይኒ/Freweyni/Frewoini, አስቴር/Aster/Ester, ኤደን/Eden""",
    """ተስፋይ/Tesfay/Tesfai, ዮናስ/Yonas/Jonas, ሃይለ/Haile/Hayle, ኣማኑኤል/Amanuel/Emanuel,
    ፍጹም/Fitsum/Fetsum, ሮቤል/Robel, ገብረ/Gebre/Ghebre, ሳሙኤል/Samuel""",
    """ገብረመድህን/Gebremedhin/Ghebremedhin, ተክለ/Tekle, ሃይሉ/Hailu/Haylu, በርሀ/Berhe,
    ወልዱ/Weldu/Woldu, ኣብርሃ/Abraha/Abreha, መብራህቱ/Mebrahtu/Mebrahtom, ኪዳነ/Kidane""",
)
WEST_AFRICAN = _table(
    """Ngozi, Blessing, Adaeze, Folake, Yetunde, Chioma, Ifeoma, Efua, Abena, Joy,
    Osarugue, Grace""",
    """Chukwuemeka/Emeka, Oluwaseun/Seun, Kwame, Kofi, Ikechukwu/Ike, Tunde, Osaze,
    Musa, Sunday, Adebayo/Bayo""",
    """Okafor/Okafo, Adeyemi, Eze, Osagie, Mensah, Owusu, Ibrahim, Balogun, Nwosu,
    Ogbebor, Boateng, Okoro/Okorro""",
)
FILIPINO = _table(
    """Maria Luz/Ma. Luz, Rosario, Jocelyn, Marites, Analyn, Lourdes,
    Cristina/Kristina, Imelda, Rowena, Grace""",
    """Jose, Juanito, Rodel, Reynaldo/Renaldo, Arnel, Danilo, Ernesto, Jomar, Rogelio,
    Dante""",
    """Santos, Reyes, Dela Cruz/De la Cruz, Bautista, Ocampo, Garcia, Mendoza,
    Magsaysay, Villanueva, Dimaculangan, Salazar, Manalo""",
)
SPANISH = _table(
    """María José/Maria Jose, Yolanda, Lucía/Lucia, Marisol, Sofía/Sofia, Inés/Ines,
    Beatriz, Luz Marina, Verónica/Veronica, Ximena/Jimena""",
    """José Luis/Jose Luis, Andrés/Andres, Jesús/Jesus, Héctor/Hector, Iván/Ivan,
    Rubén/Ruben, Wilson, Óscar/Oscar, Camilo, Joaquín/Joaquin""",
    """Rodríguez/Rodriguez, Gómez/Gomez, Hernández/Hernandez, Muñoz/Munoz, Peña/Pena,
    Gutiérrez/Gutierrez, Zúñiga/Zuniga, Córdoba/Cordoba, Ibáñez/Ibanez, Rojas,
    Castaño/Castano, Vélez/Velez""",
)
PORTUGUESE = _table(
    """Conceição/Conceicao, Luísa/Luisa/Luiza, Fátima/Fatima, Rosângela/Rosangela,
    Juliana, Inês/Ines, Cláudia/Claudia, Aparecida, Tânia/Tania, Beatriz""",
    """João/Joao, António/Antonio, José/Jose, Luís/Luis/Luiz, Sebastião/Sebastiao,
    Caetano, Tomás/Tomas, Márcio/Marcio, Edson, Estêvão/Estevao""",
    """Gonçalves/Goncalves, Araújo/Araujo, Simões/Simoes, da Silva/Silva,
    Magalhães/Magalhaes, Pereira, Brandão/Brandao, dos Santos/Santos, Ferreira,
    Nóbrega/Nobrega, Falcão/Falcao, Teixeira""",
)
ENGLISH = _table(
    """Sarah/Sara, Emily/Emilie, Chloe/Chloë, Rebecca/Rebekah, Catherine/Katherine,
    Jade, Megan, Natalie, Siân/Sian, Zoë/Zoe""",
    """Stephen/Steven, Jack, Liam, Callum/Calum, Geoffrey/Jeffrey, Ryan, Daniel,
    Kieran, Seán/Sean/Shaun, Owen""",
    """Smith/Smyth, Clark/Clarke, O’Connor/OConnor, Taylor/Tayler, Reid/Reed, Walker,
    Hughes, Bennett/Bennet, Davies/Davis, Thompson/Thomson, Murphy, Read/Reade""",
)

ORIGINS: Mapping[str, tuple[float, NameTable]] = {
    "ROU": (11, ROMANIAN),
    "MDA": (3, ROMANIAN),
    "UKR": (10, UKRAINIAN),
    "POL": (4, POLISH),
    "ALB": (7, ALBANIAN),
    "HUN": (4, HUNGARIAN),
    "GEO": (2, GEORGIAN),
    "SYR": (4, ARABIC),
    "SDN": (5, ARABIC),
    "MAR": (3, ARABIC),
    "IND": (5, HINDI),
    "NPL": (3, HINDI),
    "VNM": (9, VIETNAMESE),
    "CHN": (5, CHINESE),
    "THA": (4, THAI),
    "ERI": (4, TIGRINYA),
    "NGA": (8, WEST_AFRICAN),
    "GHA": (2, WEST_AFRICAN),
    "PHL": (5, FILIPINO),
    "COL": (3, SPANISH),
    "VEN": (2, SPANISH),
    "BRA": (4, PORTUGUESE),
    "GBR": (7, ENGLISH),
}
"""Citizenship to its weight in the demo's files and the names that go with it."""
